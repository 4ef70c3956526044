//! Carries a connection to PostgreSQL and understands just enough of it to see a COMMIT go by: messages of the frontend (version
//! 3, no TLS), each a letter, a length and its content; before the first the startup, which has no letter.

use std::io;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
};

const VERSION_3: [u8; 4] = [0, 3, 0, 0];
const ANSWER: &[u8] = b"COMMIT\0";

/// Carries it until one side ends it, or until a commit is `due` to lose its answer: then the commit has happened and the caller
/// has to drop both ends. Answers whether it was so.
pub(super) async fn pass(client: &mut TcpStream, server: &mut TcpStream, due: impl Fn() -> bool) -> io::Result<bool> {
    let (from_client, mut to_client) = client.split();
    let (mut from_server, mut to_server) = server.split();
    let up = async {
        let (mut from_client, mut started) = (BufReader::new(from_client), false);
        loop {
            let message = message(&mut from_client, started).await?;
            started |= message[4..].starts_with(&VERSION_3);
            to_server.write_all(&message).await?;
            if started && is_commit(&message) && due() {
                return Ok::<(), io::Error>(());
            }
        }
    };
    // Ends in the same step as the commit is sent, so the answer is not yet read.
    tokio::select! {
        biased;
        up = up => up?,
        down = tokio::io::copy(&mut from_server, &mut to_client) => return down.map(|_| false),
    }
    let (mut answer, mut part) = (Vec::new(), [0; 1_024]);
    while !answer.windows(ANSWER.len()).any(|window| window == ANSWER) {
        let length = from_server.read(&mut part).await?;
        if length == 0 {
            return Ok(false);
        }
        answer.extend_from_slice(&part[..length]);
    }
    Ok(true)
}

async fn message(from: &mut (impl AsyncRead + Unpin), started: bool) -> io::Result<Vec<u8>> {
    let letter = usize::from(started);
    let mut message = vec![0; letter + 4];
    from.read_exact(&mut message).await?;
    let length = u32::from_be_bytes(message[letter..].try_into().unwrap()) as usize;
    message.resize(letter + length, 0);
    from.read_exact(&mut message[letter + 4..]).await?;
    Ok(message)
}

fn is_commit(message: &[u8]) -> bool {
    message[0] == b'Q' && message[5..].starts_with(b"COMMIT")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn messages_are_told_apart() {
        let mut bytes: &[u8] =
            b"\0\0\0\x08\x04\xd2\x16\x2f\0\0\0\x0a\0\x03\0\0u\0Q\0\0\0\x0bCOMMIT\0Q\0\0\0\x0aBEGIN\0";
        let asks_for_tls = message(&mut bytes, false).await.unwrap();
        assert!(!asks_for_tls[4..].starts_with(&VERSION_3));
        assert!(message(&mut bytes, false).await.unwrap()[4..].starts_with(&VERSION_3));
        assert!(is_commit(&message(&mut bytes, true).await.unwrap()));
        assert!(!is_commit(&message(&mut bytes, true).await.unwrap()));
        assert!(bytes.is_empty());
    }
}
