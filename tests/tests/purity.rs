//! The component asks its host for nothing: no clock, no randomness, no files, no network.

use std::fs;

use ehi_tests::server::component;
use wasmparser::{Parser, Payload};

#[test]
fn the_component_imports_nothing() {
    for name in ["engine", "engine-marker"] {
        let bytes = fs::read(component(name)).expect("readable");
        let (of_component, of_module) = imports(&bytes);
        assert_eq!(of_component, [""; 0], "{name}");
        // The handles of its own resources, which the component itself provides.
        let foreign: Vec<_> = of_module.iter().filter(|import| !import.starts_with("[export]ehi:exporter/")).collect();
        assert_eq!(foreign, [""; 0], "the module in {name}");
    }
}

/// What the component itself imports, and the module in it that was compiled from Rust: the first one. The other
/// modules and the components inside are adapters that join it to the component's own interface.
fn imports(bytes: &[u8]) -> (Vec<String>, Vec<String>) {
    let (mut of_component, mut of_module) = (Vec::new(), Vec::new());
    let (mut depth, mut modules, mut exports) = (0, 0, 0);
    for payload in Parser::new(0).parse_all(bytes) {
        match payload.expect("a valid component") {
            Payload::ComponentSection { .. } => depth += 1,
            Payload::ModuleSection { .. } => {
                depth += 1;
                modules += 1;
            }
            Payload::End(_) => depth -= 1,
            Payload::ComponentImportSection(section) if depth == 0 => {
                of_component.extend(section.into_iter().map(|import| import.expect("an import").name.name.to_owned()));
            }
            Payload::ImportSection(section) if modules == 1 => {
                let imports = section.into_imports().map(|import| import.expect("an import"));
                of_module.extend(imports.map(|import| format!("{}.{}", import.module, import.name)));
            }
            Payload::ComponentExportSection(section) if depth == 0 => exports += section.count(),
            _ => {}
        }
    }
    assert!(exports > 0 && modules > 0, "not a component that does anything");
    (of_component, of_module)
}
