//! What a search parameter finds in one resource, all of it: for tools. Filters look while they walk over a line.

use std::ops::ControlFlow;

use super::{Node, ParameterType, RootNames, Roots, SearchParameter};
use crate::json::Element;

/// JSON texts that a search parameter finds.
#[derive(Debug, PartialEq, Eq)]
pub enum Found<'l> {
    /// The values that it is about.
    Values(Vec<&'l [u8]>),
    /// Of a composite: for each context, for each part, its values.
    Contexts(Vec<Vec<Vec<&'l [u8]>>>),
}

impl SearchParameter<'_> {
    /// What it finds in a resource, given as its JSON text; of a repeated root element the first counts. Values that hold
    /// nothing but an id or extensions are left out.
    pub fn find<'l>(&self, resource: &'l [u8]) -> Found<'l> {
        let mut names = RootNames::default();
        if self.parameter_type() == ParameterType::Composite {
            let composite = self.composite(&mut names);
            let roots = roots(&names, resource);
            let mut contexts = Vec::new();
            let _ = composite.visit_contexts(&roots, |context| {
                let parts = composite.components().iter();
                contexts.push(parts.map(|part| texts(|visit| part.visit_context(context, &roots, visit))).collect());
                ControlFlow::Continue(())
            });
            return Found::Contexts(contexts);
        }
        let extraction = self.extraction(&mut names);
        let roots = roots(&names, resource);
        Found::Values(texts(|visit| extraction.visit_resource(&roots, visit)))
    }
}

fn roots<'l>(names: &RootNames, resource: &'l [u8]) -> Roots<'l> {
    let table = names.table();
    let mut roots = Roots::default();
    for (name, element) in Element::new(resource.trim_ascii()).members() {
        if let Some(slot) = table.slot(name) {
            roots.put(slot, element);
        }
    }
    roots
}

/// Of everything that is visited.
fn texts<'l, 'd>(
    visit_all: impl FnOnce(&mut dyn FnMut(Node<'l, 'd>) -> ControlFlow<()>) -> ControlFlow<()>,
) -> Vec<&'l [u8]> {
    let mut texts = Vec::new();
    let _ = visit_all(&mut |node| {
        texts.push(node.element.text());
        ControlFlow::Continue(())
    });
    texts
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Definitions;

    #[test]
    fn values_and_contexts_are_found_in_their_order() {
        let find = |code, resource: &'static str| {
            Definitions::R4.search_parameter("Observation", code).unwrap().find(resource.as_bytes())
        };
        let resource = r#" {"status":"final","code":{"text":"a"},"category":[{"text":"b"},{"id":"c"},{"text":"d"}]} "#;
        let texts = [br#"{"text":"b"}"#.as_slice(), br#"{"text":"d"}"#];
        assert_eq!(find("category", resource), Found::Values(texts.to_vec()));
        let parts = vec![vec![br#"{"text":"a"}"#.as_slice()], vec![]];
        assert_eq!(find("code-value-string", resource), Found::Contexts(vec![parts]));
        assert_eq!(find("status", "[]"), Found::Values(Vec::new()));
    }
}
