//! The servers that tests start.

use std::net::TcpStream;

use sampan_tests::servers::Mongo;

#[test]
fn a_mongod_that_is_killed_comes_back_at_its_address() {
    let mut server = Mongo::start();
    assert!(TcpStream::connect(server.address()).is_ok());
    server.kill();
    assert!(TcpStream::connect(server.address()).is_err());
    server.start_again();
    assert!(TcpStream::connect(server.address()).is_ok());
}
