use super::*;

fn file(content: &str) -> (tempfile::TempDir, Sources) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("weir.toml");
    std::fs::write(&path, content).unwrap();
    (
        folder,
        Sources {
            file: Some(path),
            ..Sources::default()
        },
    )
}

#[test]
fn defaults_are_complete() {
    let settings = load(&Sources::default()).unwrap().settings;
    assert_eq!(settings.gateway.listen, "127.0.0.1:8080");
    assert_eq!(settings.gateway.max_body_bytes.0, 1 << 20);
}

#[test]
fn flag_wins_over_variable_over_file() {
    let (_folder, mut sources) = file("index_prefix = \"file\"\n[sink]\nlinger = \"2s\"\n");
    sources.variables = vec![
        ("WEIR_INDEX_PREFIX".into(), "variable".into()),
        (
            "WEIR_GATEWAY__ALLOWED_ORIGINS".into(),
            "https://a, https://b".into(),
        ),
        ("OTHER".into(), "x".into()),
    ];
    let loaded = load(&sources).unwrap();
    assert_eq!(loaded.settings.index_prefix, "variable");
    assert_eq!(loaded.settings.sink.linger.0.as_secs(), 2);
    assert_eq!(
        loaded.settings.gateway.allowed_origins,
        ["https://a", "https://b"]
    );
    assert_eq!(loaded.origins["index_prefix"], "WEIR_INDEX_PREFIX");
    sources.flags = vec![("index_prefix", "flag".into())];
    assert_eq!(load(&sources).unwrap().settings.index_prefix, "flag");
}

#[test]
fn every_unknown_key_is_named_with_line_and_nearest() {
    let (_folder, sources) = file("indexprefix = \"a\"\n[gateway]\nlisten_on = \"b\"\n");
    let errors = load(&sources).unwrap_err();
    assert_eq!(errors.len(), 2, "{errors:?}");
    assert!(
        errors[0].contains(":3: unknown key gateway.listen_on, did you mean gateway.listen?"),
        "{errors:?}"
    );
    assert!(
        errors[1].contains(":1: unknown key indexprefix, did you mean index_prefix?"),
        "{errors:?}"
    );
}

#[test]
fn unknown_variable_is_a_warning() {
    let variables = vec![("WEIR_GATEWAY__LISTENS".into(), "x".into())];
    let loaded = load(&Sources {
        variables,
        ..Sources::default()
    })
    .unwrap();
    assert!(
        loaded.warnings[0].contains("gateway.listen"),
        "{:?}",
        loaded.warnings
    );
}

#[test]
fn value_that_does_not_fit_is_an_error() {
    let (_folder, sources) = file("[sink]\nlinger = \"soon\"\n");
    let errors = load(&sources).unwrap_err();
    assert!(
        errors[0].contains("soon") && errors[0].contains("linger"),
        "{errors:?}"
    );
}

#[test]
fn secrets_are_masked_when_shown() {
    let content = "[admin]\ntoken = \"s3cret\"\n[privacy]\npseudonym_key = \"s3cret too\"\n";
    let (_folder, sources) = file(content);
    let shown = show(&load(&sources).unwrap());
    assert!(
        !shown.contains("s3cret") && shown.contains("token = \"***\""),
        "{shown}"
    );
}

#[test]
fn lookups_and_rules_are_read_and_their_mistakes_named() {
    let content = "[enricher.lookup.product]\nfile = \"p.csv\"\nkey = \"props.sku\"\n\
        [[enricher.rule]]\nwhen = \"site == 'a'\"\nset = { site = \"b\", \"props.n\" = 1 }\n";
    let (_folder, sources) = file(content);
    let loaded = load(&sources).unwrap();
    let enricher = &loaded.settings.enricher;
    assert_eq!(enricher.lookup["product"].key, "props.sku");
    assert_eq!(enricher.rule[0].set["props.n"], 1);
    assert!(show(&loaded).contains("[enricher.lookup.product]"));
    let (_folder, sources) = file("[[enricher.rule]]\nwen = \"x\"\n");
    let errors = load(&sources).unwrap_err();
    assert!(errors[0].contains("wen"), "{errors:?}");
    let (_folder, sources) = file("[enricher.schema]\n\"cart.add item\" = \"s.json\"\n");
    let loaded = load(&sources).unwrap();
    let shown = show(&loaded);
    assert!(shown.contains("\"cart.add item\" = \"s.json\""), "{shown}");
    assert_eq!(
        loaded.settings.enricher.schema["cart.add item"].to_str(),
        Some("s.json")
    );
    let (_folder, sources) = file("[enricher.lookup]\nproduct = 1\n");
    let errors = load(&sources).unwrap_err();
    assert!(errors[0].contains("enricher.lookup.product"), "{errors:?}");
}
