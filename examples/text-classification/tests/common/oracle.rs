//! BERT's forward pass in float64, one text at a time, from the tensors as the file has them.
//! Shares nothing with the library.

use super::{EPSILON, HEADS, HIDDEN, LAYERS, Tensors};

type Rows = Vec<Vec<f64>>;

/// The vectors of a text's tokens.
pub fn forward(tensors: &Tensors, ids: &[u32], types: &[u32]) -> Rows {
    let row = |name: &str, index: usize| {
        let values = &tensors[&format!("embeddings.{name}.weight")].1;
        &values[index * HIDDEN..(index + 1) * HIDDEN]
    };
    let mut x: Rows = Vec::new();
    for (position, (id, kind)) in ids.iter().zip(types).enumerate() {
        let word = row("word_embeddings", *id as usize);
        let place = row("position_embeddings", position);
        let kind = row("token_type_embeddings", *kind as usize);
        x.push((0..HIDDEN).map(|i| word[i] + place[i] + kind[i]).collect());
    }
    let mut x = norm(tensors, "embeddings.LayerNorm", x);
    for layer in 0..LAYERS {
        let name = |part: &str| format!("encoder.layer.{layer}.{part}");
        let mixed = attention(tensors, &name, &x);
        let mixed = linear(tensors, &name("attention.output.dense"), &mixed);
        x = norm(
            tensors,
            &name("attention.output.LayerNorm"),
            add(&x, &mixed),
        );
        let inner = linear(tensors, &name("intermediate.dense"), &x);
        let inner: Rows = inner
            .into_iter()
            .map(|row| row.into_iter().map(gelu).collect())
            .collect();
        let outer = linear(tensors, &name("output.dense"), &inner);
        x = norm(tensors, &name("output.LayerNorm"), add(&x, &outer));
    }
    x
}

/// The mean over the tokens, and that divided by its length.
pub fn pooled(rows: &Rows) -> (Vec<f64>, Vec<f64>) {
    let mean: Vec<f64> = (0..HIDDEN)
        .map(|i| rows.iter().map(|row| row[i]).sum::<f64>() / rows.len() as f64)
        .collect();
    let length = mean.iter().map(|x| x * x).sum::<f64>().sqrt();
    let unit = mean.iter().map(|x| x / length).collect();
    (mean, unit)
}

fn attention(tensors: &Tensors, name: &dyn Fn(&str) -> String, x: &Rows) -> Rows {
    let part = |what: &str| linear(tensors, &name(&format!("attention.self.{what}")), x);
    let (query, key, value) = (part("query"), part("key"), part("value"));
    let width = HIDDEN / HEADS;
    let mut mixed = vec![vec![0.0; HIDDEN]; x.len()];
    for head in 0..HEADS {
        let columns = head * width..(head + 1) * width;
        for (i, q) in query.iter().enumerate() {
            let scores = key.iter().map(|k| {
                let dot: f64 = columns.clone().map(|c| q[c] * k[c]).sum();
                (dot / (width as f64).sqrt()).exp()
            });
            let scores: Vec<f64> = scores.collect();
            let total: f64 = scores.iter().sum();
            for (score, v) in scores.iter().zip(&value) {
                for c in columns.clone() {
                    mixed[i][c] += score / total * v[c];
                }
            }
        }
    }
    mixed
}

/// `y = W x + b` with `W [out, in]` as PyTorch stores it.
fn linear(tensors: &Tensors, name: &str, x: &Rows) -> Rows {
    let (shape, weight) = &tensors[&format!("{name}.weight")];
    let (_, bias) = &tensors[&format!("{name}.bias")];
    let inputs = shape[1];
    let apply = |row: &Vec<f64>| {
        let output = |o: usize| {
            let weights = &weight[o * inputs..(o + 1) * inputs];
            bias[o] + weights.iter().zip(row).map(|(w, x)| w * x).sum::<f64>()
        };
        (0..shape[0]).map(output).collect()
    };
    x.iter().map(apply).collect()
}

fn norm(tensors: &Tensors, name: &str, x: Rows) -> Rows {
    let (_, gain) = &tensors[&format!("{name}.weight")];
    let (_, bias) = &tensors[&format!("{name}.bias")];
    let apply = |row: Vec<f64>| {
        let mean = row.iter().sum::<f64>() / row.len() as f64;
        let variance = row.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / row.len() as f64;
        let scale = (variance + EPSILON).sqrt();
        let values = row.iter().zip(gain.iter().zip(bias));
        values
            .map(|(x, (g, b))| (x - mean) / scale * g + b)
            .collect()
    };
    x.into_iter().map(apply).collect()
}

fn add(a: &Rows, b: &Rows) -> Rows {
    let sum = |(a, b): (&Vec<f64>, &Vec<f64>)| a.iter().zip(b).map(|(a, b)| a + b).collect();
    a.iter().zip(b).map(sum).collect()
}

fn gelu(x: f64) -> f64 {
    0.5 * x * (1.0 + erf(x / 2f64.sqrt()))
}

/// `2 / sqrt(pi) sum (-1)^n x^(2n+1) / (n! (2n+1))`; beyond 6 it is 1 to f64's rounding.
fn erf(x: f64) -> f64 {
    if x.abs() > 5.0 {
        return x.signum();
    }
    let (mut term, mut sum, mut n) = (x, x, 0.0);
    while term.abs() > 1e-18 {
        n += 1.0;
        term *= -x * x / n;
        sum += term / (2.0 * n + 1.0);
    }
    sum * 2.0 / std::f64::consts::PI.sqrt()
}
