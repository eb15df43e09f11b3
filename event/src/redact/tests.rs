use super::*;

fn check(text: &str, expected: &str) {
    let mut counts = Counts::default();
    let redacted = redact(text, Secrets::ALL, &mut counts);
    assert_eq!(redacted.as_deref().unwrap_or(text), expected);
    assert_eq!(counts.iter().sum::<u32>() > 0, text != expected);
}

#[test]
fn email_addresses_are_found_however_encoded() {
    check("/u/jo.e+x@mail.example.com/a", "/u/[redacted:email]/a");
    check("a%40b.example", "[redacted:email]");
    check("to=jo%2540b.example&x=1", "to=[redacted:email]&x=1");
    check("jo%40b%2Ecom.", "[redacted:email].");
    check("jörg@bücher.example", "[redacted:email]");
    check("a@b.co, c@d.org", "[redacted:email], [redacted:email]");
    check("x@@a.example", "x@@a.example");
    check("x@y@a.example", "x@[redacted:email]");
}

#[test]
fn what_only_looks_like_an_address_stays() {
    for text in [
        "@weir",
        "a@b",
        "img@2x.png",
        "npm@1.2.3",
        "a@10.0.0.1",
        "100%",
        "%40",
        "a@b.",
        "a@.b",
    ] {
        check(text, text);
    }
}

#[test]
fn tokens_and_hashes_are_found() {
    check(
        "t=eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln;",
        "t=[redacted:jwt];",
    );
    check("/s/d41d8cd98f00b204e9800998ecf8427e/", "/s/[redacted:hex]/");
    for text in [
        "eyJust a word",
        "d41d8cd98f00b204e9800998ecf8427",
        "xd41d8cd98f00b204e9800998ecf8427e",
        "0193a1c2-7e1f-7c3a-9d7e-1f2a3b4c5d6e",
    ] {
        check(text, text);
    }
}

#[test]
fn cards_are_told_by_their_check_digit() {
    check("card 4111 1111 1111 1111.", "card [redacted:card].");
    check("5555-5555-5555-4444", "[redacted:card]");
    check("378282246310005", "[redacted:card]");
    for text in [
        "4111111111111112",
        "1767323045000",
        "order 12345678901234567890",
        "a4111111111111111",
    ] {
        check(text, text);
    }
}

#[test]
fn telephone_numbers_are_found() {
    check("call +44 (0)20 7946 0958 now", "call [redacted:phone] now");
    check("%2B4915112345678", "[redacted:phone]");
    check(
        "(555) 123-4567 or 555.123.4567",
        "[redacted:phone] or [redacted:phone]",
    );
    for text in [
        "2026-01-02T03:04:05",
        "192.168.100.2000",
        "1,234,567,890",
        "a+1",
        "+12",
        "v1.234.567.8901234",
    ] {
        check(text, text);
    }
}

#[test]
fn only_what_is_wanted_is_looked_for() {
    let mut counts = Counts::default();
    let text = "a@b.example +44 20 7946 0958";
    let redacted = redact(text, Secrets::EMAIL, &mut counts);
    assert_eq!(
        redacted.as_deref(),
        Some("[redacted:email] +44 20 7946 0958")
    );
    assert_eq!(counts, [1, 0, 0, 0, 0]);
}

#[test]
fn long_texts_take_linear_time() {
    let mut counts = Counts::default();
    for part in ["a@", "%40", "%25", "eyJ", "1-", "+1 ", "(1", "0a"] {
        let text = part.repeat(200_000 / part.len());
        let start = std::time::Instant::now();
        let _ = redact(&text, Secrets::ALL, &mut counts);
        // Quadratic, each would take minutes.
        assert!(start.elapsed().as_secs() < 20, "{part}");
    }
}
