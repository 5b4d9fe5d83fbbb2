//! Tests of the policy engine.
#[test]
fn the_shipped_policies_load() {
    let b = crate::covenant::Bundle::from_folder(&std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("policies"))
        .unwrap();
    if let Err(e) = super::Engine::new(&b) {
        panic!("{e}")
    }
}
