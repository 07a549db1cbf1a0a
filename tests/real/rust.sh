# rust.sh DIR: a program compiled and run.
set -u
cd "$1" || exit 1
cat > main.rs << 'END'
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::sync::{mpsc, Arc, Barrier, Mutex, RwLock};
use std::{fs, panic, thread, time};

fn main() {
    let (tx, rx) = mpsc::channel();
    let counter = Arc::new(Mutex::new(0u64));
    let table = Arc::new(RwLock::new(vec![0u64; 10]));
    let barrier = Arc::new(Barrier::new(8));
    let threads: Vec<_> = (0..8u64).map(|n| {
        let (tx, counter, table, barrier) = (tx.clone(), counter.clone(), table.clone(), barrier.clone());
        thread::spawn(move || {
            barrier.wait();
            for i in 0..2000 {
                *counter.lock().unwrap() += i;
                if i % 100 == 0 { table.write().unwrap()[n as usize] += 1; } else { let _ = table.read().unwrap()[0]; }
            }
            tx.send(n * n).unwrap();
        })
    }).collect();
    drop(tx);
    println!("{}", rx.iter().sum::<u64>());
    for t in threads { t.join().unwrap(); }
    println!("{} {:?}", counter.lock().unwrap(), table.read().unwrap());
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let server = thread::spawn(move || for s in listener.incoming().take(10) {
        let mut s = s.unwrap();
        let mut data = Vec::new();
        s.read_to_end(&mut data).unwrap();
        s.write_all(&data).unwrap();
    });
    let mut bytes = 0;
    for _ in 0..10 {
        let mut s = TcpStream::connect(address).unwrap();
        s.write_all(&[7; 5000]).unwrap();
        s.shutdown(std::net::Shutdown::Write).unwrap();
        let mut data = Vec::new();
        bytes += s.read_to_end(&mut data).unwrap();
    }
    server.join().unwrap();
    println!("{}", bytes);
    let mut child = Command::new("tr").args(["a-z", "A-Z"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(b"through a child\n").unwrap();
    print!("{}", String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap());
    println!("{:?}", Command::new("sh").args(["-c", "kill -9 $$"]).status().unwrap());
    for i in 0..100 { fs::write(format!("f{}", i), vec![b'x'; i]).unwrap(); }
    let size: u64 = fs::read_dir(".").unwrap().map(|e| e.unwrap()).filter(|e| e.file_name().to_str().unwrap().starts_with('f')).map(|e| e.metadata().unwrap().len()).sum();
    println!("{}", size);
    println!("{}", panic::catch_unwind(|| { panic!("caught") }).is_err());
    thread::sleep(time::Duration::from_millis(20));
    std::process::exit(9);
}
END
for options in "-O" "-C debuginfo=2 -C codegen-units=4"; do
    # shellcheck disable=SC2086
    rustc $options -o program main.rs; echo "rustc $?"
    ./program; echo "status $?"
done
