//! What Rust's standard library does by WASI 0.1.
use std::collections::{BTreeMap, HashMap};
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, Read, Seek, SeekFrom, Write};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

fn files() -> io::Result<()> {
    fs::create_dir_all("/work/a/b")?;
    fs::write("/work/a/b/file", "first line\nsecond line\n")?;
    let mut file = OpenOptions::new().read(true).append(true).open("/work/a/b/file")?;
    writeln!(file, "third line")?;
    file.seek(SeekFrom::Start(6))?;
    let mut rest = String::new();
    file.read_to_string(&mut rest)?;
    println!("{:?} {}", rest.lines().next(), file.metadata()?.len());
    file.set_len(5)?;
    file.set_modified(UNIX_EPOCH + Duration::from_nanos(1_000_000_000_123_456_789))?;
    let modified = fs::metadata("/work/a/b/file")?.modified()?.duration_since(UNIX_EPOCH).unwrap();
    println!("{:?} {}", fs::read("/work/a/b/file")?, modified.as_nanos());
    fs::rename("/work/a/b/file", "/work/a/renamed")?;
    fs::hard_link("/work/a/renamed", "/work/a/hard")?;
    fs::copy("/work/a/hard", "/work/a/copy")?;
    let mut names: Vec<_> = fs::read_dir("/work/a")?.map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    println!("{names:?}");
    for (what, result) in [
        ("missing", File::open("/work/missing").map(drop)),
        ("new", File::create_new("/work/a/copy").map(drop)),
        ("full", fs::remove_dir("/work/a")),
        ("elsewhere", File::open("/etc/passwd").map(drop)),
        ("above", File::open("/work/../../etc/passwd").map(drop)),
    ] {
        println!("{what}: {:?}", result.unwrap_err().kind());
    }
    fs::remove_dir_all("/work/a")?;
    println!("{}", fs::exists("/work/a")?);
    Ok(())
}

fn main() -> io::Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let env: BTreeMap<String, String> = std::env::vars().collect();
    println!("{args:?} {env:?}");
    let mut lengths: HashMap<usize, usize> = HashMap::new();
    for line in io::stdin().lock().lines() {
        *lengths.entry(line?.len()).or_default() += 1;
    }
    let sorted: BTreeMap<_, _> = lengths.into_iter().collect();
    println!("{sorted:?}");
    files()?;
    let begun = Instant::now();
    std::thread::sleep(Duration::from_millis(30));
    println!("{} {}", begun.elapsed() >= Duration::from_millis(30), SystemTime::now() > UNIX_EPOCH);
    println!("{}", std::thread::Builder::new().spawn(|| ()).is_err());
    let sum: f64 = (1..1_000_000u32).map(|n| f64::from(n).sqrt()).sum();
    println!("{sum:.6} {}", u128::MAX);
    match args.first().map(String::as_str) {
        Some("panic") => panic!("on purpose"),
        Some("error") => Err(io::Error::other("returned")),
        Some(code) => std::process::exit(code.parse().unwrap()),
        None => Ok(()),
    }
}
