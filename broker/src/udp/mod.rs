//! UDP sockets for shards: batched receive and send, steering by connection id.
