use super::*;

/// A header of this command and family with these bytes behind its length.
fn header(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
    let length = u16::try_from(rest.len()).unwrap().to_be_bytes();
    [&SIGNATURE[..], &[command, family], &length, rest].concat()
}

/// What of a connection that begins with `bytes` is said and left.
async fn check(bytes: &[u8], expected: Result<(Option<&str>, &str), ErrorKind>) {
    let mut stream = bytes;
    let named = read(&mut stream).await.map_err(|error| error.kind());
    let expected = expected.map(|(named, left)| {
        let named: Option<SocketAddr> = named.map(|text| text.parse().unwrap());
        (named, left.as_bytes())
    });
    assert_eq!(named.map(|named| (named, stream)), expected, "{bytes:?}");
}

#[tokio::test]
async fn source_is_read_and_nothing_behind_the_header() {
    let four = [203, 0, 113, 9, 10, 0, 0, 1, 0x30, 0x39, 0, 80];
    let mut six = [0; 36];
    (six[0], six[1], six[15], six[33]) = (0x20, 0x01, 1, 7);
    let with_more = [&four[..], &[3, 0, 4, 1, 2, 3, 4]].concat();
    let then = |mut bytes: Vec<u8>| {
        bytes.extend(b"GET");
        bytes
    };
    check(
        &then(header(0x21, 0x11, &four)),
        Ok((Some("203.0.113.9:12345"), "GET")),
    )
    .await;
    check(
        &then(header(0x21, 0x11, &with_more)),
        Ok((Some("203.0.113.9:12345"), "GET")),
    )
    .await;
    check(
        &then(header(0x21, 0x21, &six)),
        Ok((Some("[2001::1]:7"), "GET")),
    )
    .await;
    check(&then(header(0x20, 0x11, &four)), Ok((None, "GET"))).await;
    check(&then(header(0x20, 0x00, &[])), Ok((None, "GET"))).await;
    check(&then(header(0x21, 0x31, &[0; 216])), Ok((None, "GET"))).await;
}

#[tokio::test]
async fn what_is_no_header_is_an_error() {
    let invalid = Err(ErrorKind::InvalidData);
    check(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", invalid).await;
    check(b"PROXY TCP4 203.0.113.9 10.0.0.1 1 80\r\n", invalid).await;
    check(&header(0x11, 0x11, &[0; 12]), invalid).await;
    check(&header(0x22, 0x11, &[0; 12]), invalid).await;
    check(&header(0x21, 0x12, &[0; 12]), invalid).await;
    check(&header(0x21, 0x11, &[0; 11]), invalid).await;
    check(&header(0x21, 0x21, &[0; 35]), invalid).await;
    check(&header(0x21, 0x11, &[0; 4_097]), invalid).await;
    let torn = Err(ErrorKind::UnexpectedEof);
    check(b"", torn).await;
    check(&SIGNATURE, torn).await;
    check(&header(0x21, 0x11, &[0; 12])[..20], torn).await;
}

mod fuzz {
    use super::*;

    #[test]
    fn proxy_header() {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = runtime.build().unwrap();
        ::fuzz::check("proxy", |input| {
            let mut left = input;
            let _ = runtime.block_on(read(&mut left));
            assert!(input.len() - left.len() <= 16 + MAX_BYTES);
        });
    }
}
