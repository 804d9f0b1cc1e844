//! Who is connecting: token verification, keys and revocation.
