//! A guest with sockets by Rust's standard library alone:
//! serve ADDRESS CONNECTIONS | talk HOST:PORT TEXT | datagrams ADDRESS COUNT | ask ADDRESS TEXT | resolve NAME
use std::env;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream, ToSocketAddrs, UdpSocket};

fn main() -> io::Result<()> {
    let args: Vec<String> = env::args().skip(1).collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    match words[..] {
        ["serve", address, count] => serve(address, count.parse().unwrap()),
        ["talk", address, text] => talk(address, text),
        ["datagrams", address, count] => datagrams(address, count.parse().unwrap()),
        ["ask", address, text] => ask(address, text),
        ["resolve", name] => resolve(name),
        _ => panic!("unknown command: {words:?}"),
    }
}

fn serve(address: &str, count: usize) -> io::Result<()> {
    let listener = TcpListener::bind(address)?;
    say(listener.local_addr()?)?;
    for stream in listener.incoming().take(count) {
        echo(stream?)?;
    }
    Ok(())
}

fn echo(mut stream: TcpStream) -> io::Result<()> {
    let mut buffer = vec![0; 65536];
    loop {
        let length = stream.read(&mut buffer)?;
        if length == 0 {
            return stream.shutdown(Shutdown::Write);
        }
        stream.write_all(&buffer[..length])?;
    }
}

fn talk(address: &str, text: &str) -> io::Result<()> {
    let mut stream = TcpStream::connect(address)?;
    writeln!(stream, "{text}")?;
    let mut line = String::new();
    BufReader::new(&stream).read_line(&mut line)?;
    print!("{line}");
    Ok(())
}

fn datagrams(address: &str, count: usize) -> io::Result<()> {
    let socket = UdpSocket::bind(address)?;
    say(socket.local_addr()?)?;
    let mut buffer = [0; 2048];
    for _ in 0..count {
        let (length, from) = socket.recv_from(&mut buffer)?;
        socket.send_to(&buffer[..length], from)?;
    }
    Ok(())
}

fn ask(address: &str, text: &str) -> io::Result<()> {
    let socket = UdpSocket::bind("0.0.0.0:0")?;
    socket.connect(address)?;
    socket.send(text.as_bytes())?;
    let mut buffer = [0; 2048];
    let length = socket.recv(&mut buffer)?;
    println!("{}", String::from_utf8_lossy(&buffer[..length]));
    Ok(())
}

fn resolve(name: &str) -> io::Result<()> {
    for address in (name, 0).to_socket_addrs()? {
        println!("{}", address.ip());
    }
    Ok(())
}

/// For whoever started this and waits for the address.
fn say(address: SocketAddr) -> io::Result<()> {
    println!("{address}");
    io::stdout().flush()
}
