use bytes::Bytes;

use super::*;
use crate::wire::{Reply, Request, codec::CodecError, frame, frame::FrameError};

#[tokio::test]
async fn messages_and_raw_bytes_pass_both_ways() {
    let pair = Pair::loopback().await;
    let client = async {
        let (mut sender, mut receiver) = pair.dialled.open_bi().await.unwrap();
        sender.message(&Request::Submit { round: 7 }).await.unwrap();
        sender.raw(&[1; 1000]).await.unwrap();
        sender.raw_chunk(Bytes::from(vec![2; 300_000])).await.unwrap();
        sender.finish().unwrap();
        assert_eq!(receiver.answer::<Reply>().await.unwrap(), Reply::Registered { index: 3 });
        receiver.end().await.unwrap();
    };
    let server = async {
        let (mut sender, mut receiver) = pair.accepted.accept_bi().await.unwrap();
        assert_eq!(receiver.message::<Request>().await.unwrap(), Request::Submit { round: 7 });
        let mut packets = vec![0; 301_000];
        receiver.raw(&mut packets).await.unwrap();
        assert!(packets[..1000].iter().all(|&byte| byte == 1) && packets[1000..].iter().all(|&byte| byte == 2));
        receiver.end().await.unwrap();
        sender.message(&Reply::Registered { index: 3 }).await.unwrap();
        sender.finish().unwrap();
    };
    tokio::join!(client, server);
    assert!(pair.dialled.rtt() > Duration::ZERO);
}

#[tokio::test]
async fn an_oversize_frame_is_refused_by_its_prefix() {
    let pair = Pair::loopback().await;
    for announced in [0, (1 << 20) + 1, u32::MAX] {
        // The stream goes on: whoever waited for the body would wait until it is too slow.
        let (_open, mut receiver) = pair.stream(&u32::to_le_bytes(announced)).await;
        let error = receiver.message::<Request>().await.unwrap_err();
        assert!(matches!(error, NetError::Frame(FrameError::Length)), "{error}");
    }
}

#[tokio::test]
async fn a_frame_is_decoded_strictly() {
    let pair = Pair::loopback().await;
    let mut long = frame::write(&Request::Register);
    long[0] += 1;
    long.push(0);
    let (_open, mut receiver) = pair.stream(&long).await;
    let error = receiver.message::<Request>().await.unwrap_err();
    assert!(matches!(error, NetError::Frame(FrameError::Codec(CodecError::Trailing))), "{error}");
}

#[tokio::test]
async fn a_stream_must_end_where_it_should() {
    let pair = Pair::loopback().await;
    let (sender, mut receiver) = pair.stream(&[frame::write(&Request::Register), vec![0]].concat()).await;
    sender.finish().unwrap();
    receiver.message::<Request>().await.unwrap();
    let error = receiver.end().await.unwrap_err();
    assert!(matches!(error, NetError::Trailing), "{error}");
}

#[tokio::test]
async fn a_stream_that_ends_early_is_told_from_one_given_up() {
    let pair = Pair::loopback().await;
    let (sender, mut receiver) = pair.stream(&[5, 0, 0, 0, 1]).await;
    sender.finish().unwrap();
    let error = receiver.message::<Request>().await.unwrap_err();
    assert!(matches!(error, NetError::Truncated), "{error}");

    let (sender, mut receiver) = pair.stream(&[5, 0, 0, 0, 1]).await;
    drop(sender);
    let error = receiver.message::<Request>().await.unwrap_err();
    assert!(matches!(error, NetError::Abandoned), "{error}");
}

#[tokio::test]
async fn a_receiver_can_stop_a_sender() {
    let pair = Pair::loopback().await;
    let (mut sender, receiver) = pair.stream(&[0]).await;
    drop(receiver);
    let error = loop {
        if let Err(error) = sender.raw(&[0; 1 << 16]).await {
            break error;
        }
    };
    assert!(matches!(error, NetError::Stopped), "{error}");
}

#[tokio::test]
async fn bytes_are_given_away_as_they_came_and_what_follows_stays() {
    let pair = Pair::loopback().await;
    let bytes: Vec<u8> = (0..300_000u32).map(|at| (at % 251) as u8).collect();
    let (mut sender, mut receiver) = pair.stream(&bytes).await;
    let mut came = Vec::new();
    // Numbers that end anywhere within a datagram, 0 among them, and after each something else is read.
    for count in (0..700).chain([50_000]) {
        let mut piece = Vec::new();
        receiver.each(count, |bytes| piece.extend_from_slice(bytes)).await.unwrap();
        assert_eq!(piece.len(), count);
        let mut next = [0; 3];
        receiver.raw(&mut next).await.unwrap();
        came.extend(piece.into_iter().chain(next));
        assert_eq!(came, bytes[..came.len()]);
    }
    sender.message(&Reply::Registered { index: 3 }).await.unwrap();
    sender.raw(&[7; 4]).await.unwrap();
    sender.finish().unwrap();
    let mut rest = vec![0; bytes.len() - came.len()];
    receiver.raw(&mut rest).await.unwrap();
    assert_eq!(rest, bytes[came.len()..]);
    let answer: Reply = receiver.answer().await.unwrap();
    assert_eq!(answer, Reply::Registered { index: 3 });
    let ended = receiver.each(8, |_| ()).await;
    assert!(matches!(ended, Err(NetError::Truncated)), "{ended:?}");

    let (_sender, mut receiver) = pair.stream(&[0; 10]).await;
    receiver.each(9, |_| ()).await.unwrap();
    assert!(matches!(receiver.end().await, Err(NetError::Trailing)), "the last has been read with the others");
}
