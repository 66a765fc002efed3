//! Calls through real workers: what scripts can do, and what hostile ones cannot.

use std::sync::Arc;
use std::time::{Duration, Instant};

use causeway_script::{Call, FaultKind, Limits, Run, Sandbox, SandboxSettings, ScriptFault};

fn sandbox(workers: usize) -> Sandbox {
    let program = env!("CARGO_BIN_EXE_causeway-script-worker").into();
    Sandbox::new(SandboxSettings { workers, program, arguments: Vec::new(), ..SandboxSettings::default() })
}

const LIMITS: Limits = Limits { time: Duration::from_millis(1_000), memory: 4 << 20, result: 64 << 10, log: 1_000 };

async fn call_as(sandbox: &Sandbox, owner: &str, source: &str, argument: &str) -> Run {
    let owner: Arc<str> = owner.into();
    let call = Call { owner: &owner, source, function: "handler", argument, context: r#"{"a":1}"#, limits: LIMITS };
    sandbox.call(call).await
}

async fn call(sandbox: &Sandbox, source: &str, argument: &str) -> Run {
    call_as(sandbox, "space", source, argument).await
}

async fn works(sandbox: &Sandbox) {
    let run = call(sandbox, "function handler(e) { return e.a + 1 }", r#"{"a":1}"#).await;
    assert_eq!(run.result.as_deref(), Ok("2"));
}

async fn fault(source: &str) -> ScriptFault {
    call(&sandbox(1), source, "{}").await.result.expect_err("a fault")
}

/// A script that must end in a fault of a kind, in bounded time, and leave the pool working.
async fn hostile(kind: FaultKind, source: &str) -> ScriptFault {
    let sandbox = sandbox(1);
    works(&sandbox).await;
    let started = Instant::now();
    let fault = call(&sandbox, source, "{}").await.result.expect_err(source);
    assert!(started.elapsed() < Duration::from_secs(10), "{source} took {:?}", started.elapsed());
    assert_eq!(fault.kind, kind, "{source}: {fault}");
    works(&sandbox).await;
    fault
}

#[tokio::test]
async fn values_go_in_and_come_out() {
    let sandbox = sandbox(1);
    for (source, argument, expected) in [
        ("function handler(e, c) { return {sum: e.x + c.a, t: 'ü'} }", r#"{"x":2}"#, r#"{"sum":3,"t":"ü"}"#),
        ("const handler = e => e.map(x => x * 2)", "[1,2.5]", "[2,5]"),
        ("exports.handler = async (e) => { await null; return e }", r#""x""#, r#""x""#),
        ("module.exports = { handler() { return true } }", "null", "true"),
        ("function handler() {}", "null", "null"),
        ("undeclared = 5; function handler() { return undeclared }", "null", "5"),
        (
            "function handler() { return [typeof require, typeof process, typeof setTimeout, typeof fetch, typeof std] }",
            "0",
            r#"["undefined","undefined","undefined","undefined","undefined"]"#,
        ),
    ] {
        assert_eq!(call(&sandbox, source, argument).await.result.as_deref(), Ok(expected), "{source}");
    }
}

#[tokio::test]
async fn faults_tell_the_place() {
    let place = |f: &ScriptFault| (f.kind, f.line, f.column);
    let thrown = fault("function handler() {\n  throw new RangeError('too hot')\n}").await;
    assert_eq!(place(&thrown), (FaultKind::Thrown, Some(2), Some(13)), "{thrown}");
    assert_eq!(thrown.message, "RangeError: too hot");
    let syntax = fault("function handler() {\n\n  let = = 3\n}").await;
    assert_eq!((syntax.kind, syntax.line), (FaultKind::Syntax, Some(3)), "{syntax}");
    let top = fault("\nnothing.at.all").await;
    assert_eq!((top.kind, top.line), (FaultKind::Thrown, Some(2)), "{top}");
    assert_eq!(fault("throw {code: 7}").await.message, r#"thrown: {"code":7}"#);
    assert_eq!(fault("let x = 1").await.kind, FaultKind::NoFunction);
    assert_eq!(fault("const handler = 5").await.kind, FaultKind::NoFunction);
    assert_eq!(fault("function handler() { let a = {}; a.a = a; return a }").await.kind, FaultKind::Result);
    assert_eq!(fault("function handler() { return 'x'.repeat(70000) }").await.kind, FaultKind::Result);
    assert_eq!(fault("exports.handler = () => new Promise(() => {})").await.kind, FaultKind::Result);
    assert_eq!(fault("exports.handler = async () => { throw new Error('late') }").await.message, "Error: late");
    let run = call(&sandbox(1), "function handler() {}", "{not json").await;
    assert_eq!(run.result.expect_err("a fault").kind, FaultKind::Argument);
}

#[tokio::test]
async fn what_it_logs_comes_back_and_is_bounded() {
    let sandbox = sandbox(1);
    let source =
        "function handler(e) { console.log('a', 1, {b: [2]}, undefined, new Error('x')); console.warn(); throw 1 }";
    let run = call(&sandbox, source, "{}").await;
    assert_eq!(run.log, [r#"a 1 {"b":[2]} undefined Error: x"#, ""]);
    assert!(!run.log_cut);
    let source = "function handler() { for (let i = 0; i < 100; i++) console.log('x'.repeat(300)); return 1 }";
    let run = call(&sandbox, source, "{}").await;
    assert_eq!((run.log.len(), run.log_cut, run.result.as_deref()), (4, true, Ok("1")));
}

#[tokio::test]
async fn sources_are_checked() {
    let sandbox = sandbox(1);
    let owner: Arc<str> = "space".into();
    let check = async |source: &str| sandbox.check(&owner, source, "handler", LIMITS).await;
    assert_eq!(check("function handler() { throw 1 }").await, Ok(()));
    let fault = check("function handler() { ").await.expect_err("a fault");
    assert_eq!((fault.kind, fault.line), (FaultKind::Syntax, Some(1)));
    assert_eq!(check("while (true);").await.expect_err("a fault").kind, FaultKind::Time);
    let fault = sandbox.check(&owner, "", "x;while(1);", LIMITS).await.expect_err("a fault");
    assert_eq!(fault.kind, FaultKind::NoFunction);
}

#[tokio::test]
async fn endless_loops_end() {
    for source in [
        "function handler() { while (true); }",
        "while (true);",
        "function handler() { for (;;) try { for (;;); } catch (e) {} finally { continue } }",
        "exports.handler = async () => { for (;;) await null }",
        "exports.handler = () => new Promise(() => { const f = () => { Promise.resolve().then(f) }; f() })",
        "function handler() { return /(a+)+$/.test('a'.repeat(40) + 'b') }",
        "function handler() { return /^(([a-z])+.)+[A-Z]([a-z])+$/.test('a'.repeat(60)) }",
        "function handler() { function* g() { for (;;) yield 1 } for (const x of g()); }",
        "function handler() { return { toJSON() { for (;;); } } }",
        "function handler() { return { get x() { for (;;); } } }",
        "function handler() { return new Proxy({}, { ownKeys() { for (;;); } }) }",
        "function handler() { throw { get message() { for (;;); }, toString() { for (;;); }, toJSON() { for (;;); } } }",
        "function handler() { const e = new Error('x'); Object.defineProperty(e, 'stack', { get() { for (;;); } }); throw e }",
        "function handler() { console.log({ toJSON() { for (;;); } }) }",
        "Object.defineProperty(globalThis, 'handler', { get() { for (;;); } })",
    ] {
        hostile(FaultKind::Time, source).await;
    }
}

/// Loops in native code, where the engine does not look at the clock: the worker is killed.
#[tokio::test]
async fn native_loops_end() {
    for source in [
        "function handler() { return [].indexOf.call({ length: 2 ** 53 - 1 }, 1) }",
        "function handler() { const a = []; a.length = 4294967295; return a.includes(1) }",
        "function handler() { const a = 'a'.repeat(600000); for (let i = 0; i < 9999; i++) a.indexOf('a'.repeat(300000) + 'b') }",
        "function handler() { let a = 3n ** 300000n; for (let i = 0; i < 9000; i++) a * a }",
    ] {
        hostile(FaultKind::Time, source).await;
    }
}

#[tokio::test]
async fn memory_is_bounded() {
    for source in [
        "function handler() { const a = []; while (1) a.push(a.length) }",
        "function handler() { let s = 'x'; while (1) s += s }",
        "function handler() { return 'x'.repeat(1 << 29) }",
        "function handler() { return new ArrayBuffer(1 << 30).byteLength }",
        "function handler() { return new Uint8Array(1e9) }",
        "globalThis.kept = []; for (;;) kept.push('x'.repeat(1000) + kept.length)",
        "function handler() { const a = []; for (;;) { try { a.push(new Array(1000).fill(7)) } catch (e) {} } }",
        "function handler() { let a = []; for (let i = 0; i < 40; i++) a = [a, a]; return a }",
    ] {
        let sandbox = sandbox(1);
        let started = Instant::now();
        let fault = call(&sandbox, source, "{}").await.result.expect_err(source);
        assert!(started.elapsed() < Duration::from_secs(10), "{source}");
        // Refused by the language, out of memory, or still catching its own lack of memory when the time was over.
        let kinds = [FaultKind::Memory, FaultKind::Thrown, FaultKind::Time, FaultKind::Result];
        assert!(kinds.contains(&fault.kind), "{source}: {fault:?}");
        works(&sandbox).await;
    }
    let fault = hostile(FaultKind::Memory, "function handler() { const a = []; while (1) a.push(a.length) }").await;
    assert_eq!(fault.message, "the memory limit of 4096 kB is reached");
}

#[tokio::test]
async fn recursion_is_bounded() {
    for source in [
        "function handler() { return handler() }",
        "function handler() { return { toJSON() { return JSON.stringify(this) } } }",
        "function handler() { const p = new Proxy({}, { get: (t, k, r) => r[k] }); return p.x }",
        "function handler() { let a = []; for (let i = 0; i < 50000; i++) a = [a]; return JSON.stringify(a) }",
        "function handler() { return JSON.parse('['.repeat(50000)) }",
        "function handler() { return new RegExp('('.repeat(50000) + ')'.repeat(50000)) }",
        "function handler() { return eval('('.repeat(50000) + '1' + ')'.repeat(50000)) }",
    ] {
        let sandbox = sandbox(1);
        let fault = call(&sandbox, source, "{}").await.result.expect_err(source);
        assert!(matches!(fault.kind, FaultKind::Thrown | FaultKind::Memory | FaultKind::Result), "{source}: {fault:?}");
        works(&sandbox).await;
    }
}

#[tokio::test]
async fn nothing_is_left_for_the_next_call() {
    let sandbox = sandbox(1);
    let bad = "Object.prototype.toJSON = () => 'mine'; Object.prototype.a = 7; Array.prototype.push = null;
        JSON.stringify = JSON.parse = () => 'no'; globalThis.left = 1; console.log = null; Promise.prototype.then = null;
        Object.freeze(Object.prototype);
        function handler(e) { globalThis.count = (globalThis.count || 0) + 1; return count }";
    for owner in ["one", "one", "other"] {
        call_as(&sandbox, owner, bad, "{}").await;
        let source =
            "function handler(e) { const a = []; a.push({}.a, typeof left, typeof count); return JSON.stringify(a) }";
        let run = call_as(&sandbox, owner, source, "{}").await;
        assert_eq!(run.result.as_deref(), Ok(r#""[null,\"undefined\",\"undefined\"]""#));
    }
}

#[tokio::test]
async fn a_hostile_owner_leaves_a_worker_to_others() {
    let sandbox = Arc::new(sandbox(2));
    let mut bad = Vec::new();
    for _ in 0..4 {
        let sandbox = sandbox.clone();
        bad.push(tokio::spawn(async move { call_as(&sandbox, "bad", "while (1);", "{}").await }));
    }
    let started = Instant::now();
    tokio::task::yield_now().await;
    for _ in 0..10 {
        works(&sandbox).await;
    }
    assert!(started.elapsed() < Duration::from_secs(3), "{:?}", started.elapsed());
    for bad in bad {
        assert_eq!(bad.await.expect("a run").result.expect_err("a fault").kind, FaultKind::Time);
    }
}

#[tokio::test]
async fn a_full_queue_refuses() {
    let program = env!("CARGO_BIN_EXE_causeway-script-worker").into();
    let patience = Duration::from_millis(50);
    let settings = SandboxSettings { workers: 1, queue: 1, patience, program, arguments: Vec::new() };
    let sandbox = Arc::new(Sandbox::new(settings));
    let other = sandbox.clone();
    let first = tokio::spawn(async move { call(&other, "while (1);", "{}").await });
    tokio::time::sleep(Duration::from_millis(20)).await;
    let second = call(&sandbox, "function handler() {}", "{}").await;
    assert_eq!(second.result.expect_err("refused").kind, FaultKind::Busy);
    assert_eq!(first.await.expect("a run").result.expect_err("a fault").kind, FaultKind::Time);
    works(&sandbox).await;
}

/// Processes that this one has started, by their parent's number in `/proc/<pid>/stat`.
fn children() -> Vec<String> {
    let parent = format!(" {} ", std::process::id());
    let folders = std::fs::read_dir("/proc").expect("a Linux");
    let is_child = |pid: &String| {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        stat.contains("(causeway-script") && stat.rsplit(')').next().is_some_and(|rest| rest[2..].starts_with(&parent))
    };
    folders.filter_map(|f| f.ok()?.file_name().into_string().ok()).filter(is_child).collect()
}

#[tokio::test]
async fn a_worker_that_is_killed_is_replaced() {
    let sandbox = sandbox(1);
    works(&sandbox).await;
    // Other tests lose workers by this too, which must do them no harm when they are idle; so it is done in a process alone.
    if std::env::var_os("CAUSEWAY_ALONE").is_none() {
        let test = std::env::current_exe().expect("this program");
        let mut alone = std::process::Command::new(test);
        let alone = alone.args(["--exact", "a_worker_that_is_killed_is_replaced"]).env("CAUSEWAY_ALONE", "1");
        assert!(alone.status().expect("it runs").success());
        return;
    }
    let workers = children();
    assert_eq!(workers.len(), 1);
    // It can open nothing, and has nothing of this process.
    let of = |file: &str| std::fs::read_to_string(format!("/proc/{}/{file}", workers[0])).expect("a file of /proc");
    assert!(of("limits").lines().any(|l| l.split_whitespace().take(5).eq(["Max", "open", "files", "0", "0"])));
    assert_eq!(of("environ"), "");
    for pid in workers {
        assert!(std::process::Command::new("kill").args(["-9", &pid]).status().expect("kill").success());
    }
    works(&sandbox).await;
}

#[tokio::test]
async fn a_program_that_is_no_worker_is_a_fault() {
    let settings = SandboxSettings { program: "/bin/true".into(), ..SandboxSettings::default() };
    let run = call(&Sandbox::new(settings), "function handler() {}", "{}").await;
    assert_eq!(run.result.expect_err("a fault").kind, FaultKind::Broken);
}
