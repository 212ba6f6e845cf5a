//! burn's remote backend: a client sends each operation whole, and the server answers it with its own
//! backend's kernel.

use burn::backend::ir::{
    BackendIr, CustomOpIr, HandleContainer, OperationIr, OperationOutput, ScalarIr, TensorId,
    TensorIr,
};
use burn::backend::tensor::FloatTensor;
use burn::tensor::{DType, Shape};
use burn_router::{BackendRouter, CustomOpRegistry, RouterChannel, RouterClient, RouterTensor};

use crate::packed::PackedOps;
use crate::pairs::{GivensOps, Turn};

/// Names of the operations between client and server, the same as the ids in [`GivensOps`], which
/// fusion sends.
const ROTATE: &str = "burn_goft::givens_rotate";
const BLOCK_GRADIENTS: &str = "burn_goft::givens_block_gradients";
const GRADIENTS: &str = "burn_goft::givens_gradients";
const BLOCKS: &str = "burn_goft::givens_blocks";
const ANGLE_GRADIENTS: &str = "burn_goft::givens_angle_gradients";

/// Makes a server of burn's answer the operations of [`GivensOps`] with the kernels of its backend.
///
/// A client that is built with the feature `remote` sends a rotation as one operation, and its
/// derivative as another; a server that does not know them ends the session. Both sides have to
/// be of one version of this crate, which is not compared. Without that feature a client sends the portable body instead,
/// dozens of burn's own operations, which any server knows.
///
/// # Example
///
/// A server of burn's, with its feature `remote-server`, for those who know the token:
///
/// ```ignore
/// use burn::backend::Flex;
/// use burn::server::{CustomOpRegistry, IrohIdentity, IrohTransport, RemoteServer, TokenAuthorizer};
/// use burn::tensor::Device;
///
/// let mut operations = CustomOpRegistry::<Flex>::new();
/// burn_goft::register_ops(&mut operations);
/// let transport = IrohTransport::new(IrohIdentity::load_or_create("server.key")?);
/// println!("server: {}", transport.id());
/// RemoteServer::new([Device::flex()])
///     .with_custom_ops(operations)
///     .with_authorizer(TokenAuthorizer::new(token)?)
///     .serve(transport)?;
/// ```
pub fn register_ops<B: BackendIr + GivensOps>(registry: &mut CustomOpRegistry<B>) {
    for id in [ROTATE, BLOCK_GRADIENTS, GRADIENTS, BLOCKS, ANGLE_GRADIENTS] {
        registry.register(id, |handles, asked, _| answer::<B>(handles, asked));
    }
}

fn answer<B: BackendIr + GivensOps>(handles: &mut HandleContainer<B::Handle>, asked: &CustomOpIr) {
    let inputs: Vec<FloatTensor<B>> = asked
        .inputs
        .iter()
        .map(|input| handles.get_float_tensor::<B>(input))
        .collect();
    let turn = || turn_of(&asked.scalars);
    let outputs = match (asked.id.as_str(), <[_; 3]>::try_from(inputs)) {
        (BLOCK_GRADIENTS, Ok([x, grad, blocks])) => {
            vec![B::givens_block_gradients(x, grad, blocks, turn())]
        }
        (GRADIENTS, Ok([x, grad, blocks])) => {
            let (by_x, by_blocks) = B::givens_gradients(x, grad, blocks, turn());
            vec![by_x, by_blocks]
        }
        (ROTATE, Err(mut inputs)) if inputs.len() == 2 => {
            let (blocks, x) = (inputs.remove(1), inputs.remove(0));
            vec![B::givens_rotate(x, blocks, turn())]
        }
        (ANGLE_GRADIENTS, Err(mut inputs)) if inputs.len() == 2 => {
            let (grad, blocks) = (inputs.remove(1), inputs.remove(0));
            vec![B::givens_angle_gradients(blocks, grad)]
        }
        (BLOCKS, Err(mut inputs)) if inputs.len() == 1 => {
            vec![B::givens_blocks(inputs.remove(0))]
        }
        (id, _) => panic!(
            "asked for `{id}` of {} tensors, which this version of burn-goft does not know; build client and server with the same one",
            asked.inputs.len()
        ),
    };
    for (output, tensor) in asked.outputs.iter().zip(outputs) {
        handles.register_float_tensor::<B>(&output.id, tensor);
    }
}

fn turn_of(numbers: &[ScalarIr]) -> Turn {
    let found = match *numbers {
        [ScalarIr::UInt(code)] => Turn::of_code(code),
        _ => None,
    };
    found.unwrap_or_else(|| {
        panic!(
            "asked for a turn by {numbers:?}, which this version of burn-goft does not know; build client and server with the same \
             one"
        )
    })
}

/// Sends an operation whose results have these shapes and dtypes.
fn send<C: RouterClient, const N: usize, const M: usize>(
    id: &'static str,
    inputs: [RouterTensor<C>; N],
    turn: Option<Turn>,
    outputs: impl FnOnce(&[TensorIr; N]) -> [(Shape, DType); M],
) -> [RouterTensor<C>; M] {
    let client = inputs[0].client.clone();
    let inputs = inputs.map(RouterTensor::into_ir);
    let new_id = || -> TensorId { client.create_empty_handle() };
    let outputs = outputs(&inputs).map(|(shape, dtype)| TensorIr::uninit(new_id(), shape, dtype));
    let numbers = turn.map(|turn| ScalarIr::UInt(turn.code())).into_iter();
    let asked = CustomOpIr::with_scalars(id, &inputs, &outputs, numbers.collect());
    client.register(OperationIr::Custom(asked)).outputs()
}

fn like(tensor: &TensorIr) -> (Shape, DType) {
    (tensor.shape.clone(), tensor.dtype)
}

impl<C: RouterChannel> GivensOps for BackendRouter<C> {
    fn givens_rotate(
        x: FloatTensor<Self>,
        blocks: FloatTensor<Self>,
        turn: Turn,
    ) -> FloatTensor<Self> {
        let [rotated] = send(ROTATE, [x, blocks], Some(turn), |[x, _]| [like(x)]);
        rotated
    }

    fn givens_block_gradients(
        x: FloatTensor<Self>,
        grad: FloatTensor<Self>,
        blocks: FloatTensor<Self>,
        turn: Turn,
    ) -> FloatTensor<Self> {
        let [by_blocks] = send(
            BLOCK_GRADIENTS,
            [x, grad, blocks],
            Some(turn),
            |[_, _, blocks]| [like(blocks)],
        );
        by_blocks
    }

    fn givens_gradients(
        x: FloatTensor<Self>,
        grad: FloatTensor<Self>,
        blocks: FloatTensor<Self>,
        turn: Turn,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        let [by_x, by_blocks] = send(
            GRADIENTS,
            [x, grad, blocks],
            Some(turn),
            |[x, _, blocks]| [like(x), like(blocks)],
        );
        (by_x, by_blocks)
    }

    fn givens_blocks(angles: FloatTensor<Self>) -> FloatTensor<Self> {
        let [blocks] = send(BLOCKS, [angles], None, |[angles]| {
            [(Shape::new([angles.shape[0], 2, 2]), angles.dtype)]
        });
        blocks
    }

    fn givens_angle_gradients(
        blocks: FloatTensor<Self>,
        grad: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        let [by_angles] = send(ANGLE_GRADIENTS, [blocks, grad], None, |[blocks, _]| {
            [(Shape::new([blocks.shape[0]]), blocks.dtype)]
        });
        by_angles
    }
}

// The dispatcher needs it and never comes here: burn's remote backend has no packed tensors.
impl<C: RouterChannel> PackedOps for BackendRouter<C> {}
