//! What stands in the path or the query of a route.

/// What a parameter's text is read as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sort {
    Text,
    /// A whole number.
    Number,
    /// `true` or `false`.
    Truth,
}

/// A parameter of a route.
#[derive(Clone, Copy, Debug)]
pub struct Parameter {
    pub(crate) name: &'static str,
    pub(crate) about: &'static str,
    pub(crate) sort: Sort,
    pub(crate) is_required: bool,
    /// Whether it stands in the path.
    pub(crate) is_path: bool,
    /// What it is if it is not given.
    pub(crate) default: Option<u64>,
}

impl Parameter {
    /// A text in the query.
    #[must_use]
    pub const fn text(name: &'static str, about: &'static str) -> Self {
        let (sort, is_required, is_path) = (Sort::Text, false, false);
        Parameter { name, about, sort, is_required, is_path, default: None }
    }

    /// A whole number in the query.
    #[must_use]
    pub const fn number(name: &'static str, about: &'static str) -> Self {
        Parameter { sort: Sort::Number, ..Parameter::text(name, about) }
    }

    /// `true` or `false` in the query.
    #[must_use]
    pub const fn truth(name: &'static str, about: &'static str) -> Self {
        Parameter { sort: Sort::Truth, ..Parameter::text(name, about) }
    }

    /// A text in the path.
    #[must_use]
    pub const fn path(name: &'static str, about: &'static str) -> Self {
        Parameter { is_path: true, is_required: true, ..Parameter::text(name, about) }
    }

    /// The same, without which nothing is asked.
    #[must_use]
    pub const fn required(self) -> Self {
        Parameter { is_required: true, ..self }
    }

    /// The same number, which is this if it is not given.
    #[must_use]
    pub const fn or(self, default: u64) -> Self {
        Parameter { default: Some(default), ..self }
    }
}
