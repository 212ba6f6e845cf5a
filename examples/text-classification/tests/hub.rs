//! A model by its name: downloaded once from what answers as the hub does, and found in the cache
//! afterwards.

mod common;

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::mpsc::{Receiver, channel};

use common::Place;

const MODEL: &str = "somebody/some-bert";

/// Serves the files of a folder under the names that the hub gives them, as long as the test runs,
/// and reports what is asked for.
struct Hub {
    address: SocketAddr,
    asked: Receiver<String>,
}

impl Hub {
    fn new(folder: PathBuf) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("bound");
        let (report, asked) = channel();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let file = answer(stream.expect("a connection"), &folder);
                // The test may have ended.
                if report.send(file).is_err() {
                    return;
                }
            }
        });
        Self { address, asked }
    }

    fn asked(&self) -> Vec<String> {
        self.asked.try_iter().collect()
    }
}

/// Answers a request for a file or a part of it, and returns the file's name.
fn answer(mut stream: TcpStream, folder: &Path) -> String {
    let lines = BufReader::new(stream.try_clone().expect("a connection")).lines();
    let lines = lines.map(|line| line.expect("a request"));
    let request: Vec<String> = lines.take_while(|line| !line.is_empty()).collect();
    let path = request[0].split(' ').nth(1).expect("a path");
    let prefix = format!("/{MODEL}/resolve/main/");
    let name = path.strip_prefix(&prefix).expect("a file of the model");
    let Ok(bytes) = std::fs::read(folder.join(name)) else {
        let refusal = "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
        stream
            .write_all(refusal.as_bytes())
            .expect("an open connection");
        return name.into();
    };
    let range = request.iter().find_map(|line| {
        let line = line.to_lowercase();
        let (first, last) = line.strip_prefix("range: bytes=")?.split_once('-')?;
        Some((first.parse().ok()?, last.parse().unwrap_or(bytes.len() - 1)))
    });
    let (first, last): (usize, usize) = range.expect("parts are asked for");
    let head = format!(
        "HTTP/1.1 206 Partial Content\r\nContent-Length: {}\r\nContent-Range: bytes {first}-{last}/{}\r\n\
         ETag: \"{name}\"\r\nX-Repo-Commit: 0123456789abcdef\r\nConnection: close\r\n\r\n",
        last + 1 - first,
        bytes.len()
    );
    let answer = [head.as_bytes(), &bytes[first..=last]].concat();
    stream.write_all(&answer).expect("an open connection");
    name.into()
}

fn train(place: &Place, hub: SocketAddr, out: &str) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_text-classification"));
    command.args(["train", "--model", MODEL, "--epochs", "1"]);
    command.arg("--train").arg(&place.config.train);
    command.arg("--eval").arg(&place.config.eval);
    command.arg("--out").arg(place.path(out));
    command.env("HF_ENDPOINT", format!("http://{hub}"));
    command.env("HF_HOME", place.path("cache"));
    command.output().expect("the program starts")
}

#[test]
fn a_model_is_downloaded_once_and_is_the_one_that_was_served() {
    let place = Place::new("goft");
    let served = PathBuf::from(&place.config.model);
    let hub = Hub::new(served.clone());
    let output = train(&place, hub.address, "first");
    let message = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{message}");
    let asked = hub.asked();
    for name in ["config.json", "model.safetensors"] {
        assert!(asked.iter().any(|asked| asked == name), "{name}: {asked:?}");
        let cached = place.path(&format!(
            "cache/hub/models--somebody--some-bert/snapshots/0123456789abcdef/{name}"
        ));
        let [cached, served] = [cached, served.join(name)].map(std::fs::read);
        assert_eq!(cached.expect("cached"), served.expect("served"), "{name}");
    }

    let output = train(&place, hub.address, "second");
    let message = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{message}");
    let again = hub.asked();
    // What the hub does not have cannot be cached.
    assert!(
        again.iter().all(|name| !served.join(name).exists()),
        "{again:?}"
    );
}

#[test]
fn a_model_without_weights_is_refused_by_the_name_of_what_is_missing() {
    let place = Place::new("goft");
    let served = PathBuf::from(&place.config.model);
    std::fs::remove_file(served.join("model.safetensors")).expect("it is there");
    let hub = Hub::new(served);
    let output = train(&place, hub.address, "out");
    assert!(!output.status.success());
    let message = String::from_utf8_lossy(&output.stderr);
    let expected = "the Hugging Face hub did not give `model.safetensors`";
    assert!(message.contains(expected), "{message}");
}
