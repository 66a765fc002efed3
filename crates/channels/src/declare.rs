//! The macro that declares a configuration struct with its manual.

/// Declares the configuration of a channel. A field of type [`Secret`](crate::Secret) is stored sealed and never shown.
macro_rules! channel {
    (
        $(#[doc = $about:literal])+
        pub struct $name:ident in $channel:literal $member:literal {
            $( $(#[doc = $text:literal])+ $field:ident : $type:ty, )*
        }
        check $check:expr
    ) => {
        $(#[doc = $about])+
        #[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
        pub struct $name {
            $( $(#[doc = $text])+ pub $field: $type, )*
        }

        impl crate::Configuration for $name {
            const CHANNEL: &'static str = $channel;
            const MEMBER: &'static str = $member;
            const ABOUT: &'static str = concat!($($about),+);

            fn fields() -> Vec<crate::Field> {
                vec![$(
                    crate::Field {
                        name: stringify!($field),
                        kind: <$type as crate::FieldType>::kind(),
                        required: <$type as crate::FieldType>::REQUIRED,
                        secret: <$type as crate::FieldType>::SECRET,
                        about: concat!($($text),+),
                    }
                ),*]
            }

            fn check(&self) -> Result<(), String> {
                let check: fn(&Self) -> Result<(), String> = $check;
                check(self)
            }
        }
    };
}
