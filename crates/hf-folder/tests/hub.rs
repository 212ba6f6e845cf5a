//! Models by their name, from what answers as the hub does.
#![cfg(feature = "hub")]

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, channel};

use hf_folder::{Error, HubModel};
use hf_hub::api::sync::ApiBuilder;
use tempfile::TempDir;

const MODEL: &str = "somebody/some-model";

/// What a hub answers to a file's name.
type Files = BTreeMap<&'static str, Result<Vec<u8>, u16>>;

/// Serves files as long as the test runs, and reports what is asked for, with the token.
fn serve(files: Files) -> (SocketAddr, Receiver<(String, Option<String>)>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("bound");
    let (report, asked) = channel();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let heard = answer(stream.expect("a connection"), &files);
            // The test may have ended.
            if report.send(heard).is_err() {
                return;
            }
        }
    });
    (address, asked)
}

fn answer(mut stream: TcpStream, files: &Files) -> (String, Option<String>) {
    let lines = BufReader::new(stream.try_clone().expect("a connection")).lines();
    let lines = lines.map(|line| line.expect("a request"));
    let request: Vec<String> = lines.take_while(|line| !line.is_empty()).collect();
    let path = request[0].split(' ').nth(1).expect("a path");
    let name = path.strip_prefix(&format!("/{MODEL}/resolve/main/"));
    let name = name.expect("a file of the model").to_string();
    let field = |field: &str| {
        let fields = request.iter().filter_map(|line| line.split_once(": "));
        let mut found = fields.filter(|(name, _)| name.eq_ignore_ascii_case(field));
        found.next().map(|(_, value)| value.to_string())
    };
    let token = field("authorization");
    let answer = match files.get(name.as_str()).unwrap_or(&Err(404)) {
        Err(status) => {
            format!("HTTP/1.1 {status} No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
                .into_bytes()
        }
        Ok(bytes) => {
            let range = field("range").expect("parts are asked for");
            let (first, last) = range
                .strip_prefix("bytes=")
                .unwrap()
                .split_once('-')
                .unwrap();
            let first: usize = first.parse().unwrap();
            let last: usize = last.parse().unwrap_or(bytes.len() - 1);
            let head = format!(
                "HTTP/1.1 206 Partial Content\r\nContent-Length: {}\r\nContent-Range: bytes {first}-{last}/{}\r\n\
                 ETag: \"{name}\"\r\nX-Repo-Commit: 0123456789abcdef\r\nConnection: close\r\n\r\n",
                last + 1 - first,
                bytes.len()
            );
            [head.as_bytes(), &bytes[first..=last]].concat()
        }
    };
    // Whoever asked may have gone.
    let _ = stream.write_all(&answer);
    (name, token)
}

fn hub(address: SocketAddr, cache: &TempDir, token: Option<&str>) -> HubModel {
    let builder = ApiBuilder::new()
        .with_endpoint(format!("http://{address}"))
        .with_cache_dir(cache.path().into())
        .with_token(token.map(String::from))
        .with_progress(false);
    HubModel::with_client(MODEL, &builder.build().unwrap())
}

#[test]
fn shards_come_once_and_lie_beside_each_other() {
    let index = br#"{"weight_map": {"a": "one.safetensors", "b": "two.safetensors", "c": "one.safetensors"}}"#;
    let files = Files::from([
        ("config.json", Ok(b"{}".to_vec())),
        ("model.safetensors.index.json", Ok(index.to_vec())),
        ("one.safetensors", Ok(vec![1; 70])),
        ("two.safetensors", Ok(vec![2; 80])),
    ]);
    let (address, asked) = serve(files);
    let cache = tempfile::tempdir().unwrap();
    let model = hub(address, &cache, Some("secret"));
    let config = model.file("config.json").unwrap();
    assert_eq!(model.optional("chat_template.jinja").unwrap(), None);
    let folder = model.weights().unwrap();
    assert_eq!(config.parent(), Some(folder.as_path()));
    assert_eq!(
        std::fs::read(folder.join("one.safetensors")).unwrap(),
        [1; 70]
    );
    assert_eq!(
        std::fs::read(folder.join("two.safetensors")).unwrap(),
        [2; 80]
    );
    let heard: Vec<_> = asked.try_iter().collect();
    let tokens = heard.iter().map(|(_, token)| token.as_deref());
    assert!(
        tokens.clone().all(|token| token == Some("Bearer secret")),
        "{heard:?}"
    );
    // Again, from the cache.
    assert_eq!(hub(address, &cache, None).weights().unwrap(), folder);
    assert_eq!(asked.try_iter().count(), 0);
}

#[test]
fn one_file_of_weights_does_as_well() {
    let files = Files::from([("model.safetensors", Ok(vec![3; 9]))]);
    let (address, _asked) = serve(files);
    let cache = tempfile::tempdir().unwrap();
    let folder = hub(address, &cache, None).weights().unwrap();
    assert_eq!(
        std::fs::read(folder.join("model.safetensors")).unwrap(),
        [3; 9]
    );
}

#[test]
fn a_model_that_asks_for_an_agreement_says_so() {
    for status in [401, 403] {
        let files = Files::from([
            ("config.json", Err(status)),
            ("tokenizer_config.json", Err(status)),
        ]);
        let (address, _asked) = serve(files);
        let cache = tempfile::tempdir().unwrap();
        let model = hub(address, &cache, None);
        for found in [
            model.file("config.json").unwrap_err(),
            model.optional("tokenizer_config.json").unwrap_err(),
        ] {
            let text = found.to_string();
            assert!(matches!(found, Error::Hub { .. }), "{text}");
            assert!(text.contains("HF_TOKEN") && text.contains(MODEL), "{text}");
        }
    }
}

#[test]
fn what_is_missing_and_what_is_no_index_is_said() {
    let files = Files::from([("model.safetensors.index.json", Ok(b"{}".to_vec()))]);
    let (address, _asked) = serve(files);
    let cache = tempfile::tempdir().unwrap();
    let model = hub(address, &cache, None);
    let missing = model.file("config.json").unwrap_err().to_string();
    assert!(
        missing.contains("did not give `config.json`") && missing.contains("404"),
        "{missing}"
    );
    let index = model.weights().unwrap_err().to_string();
    assert!(index.contains("no `weight_map`"), "{index}");
}

#[test]
fn a_hub_that_does_not_answer_is_no_missing_file() {
    let address = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let cache = tempfile::tempdir().unwrap();
    let model = hub(address, &cache, None);
    assert!(model.optional("chat_template.jinja").is_err());
}
