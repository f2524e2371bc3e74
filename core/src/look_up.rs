//! Reading and searching Group, Patient and Practitioner: for a client that has to know which groups there are, and for the
//! page on which an administrator chooses whom to export.
//!
//! [`Endpoint::route`](crate::Endpoint::route) decides who may look up what. The embedder hands back the resources that are
//! asked for, as their JSON texts; [`Endpoint::look_up`](crate::Endpoint::look_up) judges each of them once more and answers.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::{
    Definitions, Edition, ResourceType, Sensitive,
    time::Timestamp,
    type_filter::{self, Filter, FilterContext, Query, TypeFilterSource},
};

/// What is to be looked up: resources of one type, as they are now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LookUp {
    /// Of which type.
    pub resource_type: ResourceType,
    /// Only the one with that id: a read. None is a search.
    pub id: Option<Sensitive<String>>,
    /// Only those that meet one of these, each in the form of [`Query`]'s text. By `_id`, `identifier` and `name`, and by
    /// what the token's own searches ask; [`filter`](Self::filter) evaluates them.
    pub queries: Sensitive<Vec<String>>,
    /// Only those that the rules of the deployment open to whom this is about; none means all of them. Name them in
    /// [`Found::accessible`].
    pub access: Option<AccessAsked>,
    /// Hand back no more than so many.
    pub count: u32,
    /// The URL of the request, absolute, for the answer.
    pub request: Sensitive<String>,
}

/// Whose access is asked about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AccessAsked {
    /// `None` where there is no authorisation.
    pub client: Option<String>,
    /// The user, where there is one.
    pub user: Option<Sensitive<String>>,
}

/// What was found. What is missing was not found, and what is not named accessible is not.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Found {
    /// The resources, each as its JSON text, in the order in which they are to be shown.
    #[serde(default)]
    pub resources: Vec<Sensitive<String>>,
    /// How many there are, if not all of them are handed back. Never count what is not accessible.
    #[serde(default)]
    pub total: Option<u64>,
    /// If access is asked about: the ids of those that are accessible.
    #[serde(default)]
    pub accessible: BTreeSet<String>,
}

impl LookUp {
    /// The queries, ready to look at resources one by one. `None` if they are not those of a route.
    pub fn filter(&self, base_url: &str, now: Timestamp) -> Option<Filter> {
        let definitions = definitions();
        let queries = read(self.queries.expose(), &definitions)?;
        let context = FilterContext { base_url: base_url.to_owned(), now };
        // Without a query of its type a resource would pass unasked.
        let is_asked = queries.iter().any(|query| *query.resource_type() == self.resource_type);
        Filter::compile(&queries, &definitions, &context).ok().filter(|_| is_asked)
    }
}

/// The search parameters of look-ups. R4 has none for the name of a Group; R5's is the same.
pub(crate) fn definitions() -> Definitions<'static> {
    Definitions::R4.with_added_search_parameters(GROUP_NAME)
}

/// Queries from their own texts.
pub(crate) fn read<'t>(
    texts: impl IntoIterator<Item = &'t String>,
    definitions: &Definitions<'_>,
) -> Option<Vec<Query>> {
    let sources: Vec<_> = texts.into_iter().map(|text| TypeFilterSource::Post(text)).collect();
    type_filter::parse(&sources, Edition::Stu3, definitions).ok()
}

const GROUP_NAME: &str = "Group\tname\tstring\tname:string\t\t\n";
