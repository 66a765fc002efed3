//! One call in one engine, which nobody uses before or after it.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::{Duration, Instant};

use rquickjs::context::EvalOptions;
use rquickjs::convert::Coerced;
use rquickjs::promise::MaybePromise;
use rquickjs::{CatchResultExt, CaughtError, Context, Ctx, Error, Function, Object, Runtime, Value};

use crate::console::{self, Log};
use crate::fault::{FaultKind, ScriptFault};
use crate::frame::{Request, Response};

/// What the source is called in traces.
const NAME: &str = "function.js";

/// Runs a request. After [`Response::last`] the process must end.
pub(crate) fn run(request: &Request) -> Response {
    let started = Instant::now();
    let late = Rc::new(Cell::new(false));
    let log = Rc::new(RefCell::new(Log::default()));
    let (result, last) = match Engine::new(request, started, &late, &log) {
        Ok(engine) => engine.run(request),
        Err(fault) => (Err(fault), true),
    };
    let log = std::mem::take(&mut *log.borrow_mut());
    let used_us = u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX);
    Response { result, log: log.lines, log_cut: log.cut, used_us, last }
}

struct Engine {
    runtime: Runtime,
    context: Context,
    late: Rc<Cell<bool>>,
}

impl Engine {
    fn new(
        request: &Request,
        started: Instant,
        late: &Rc<Cell<bool>>,
        log: &Rc<RefCell<Log>>,
    ) -> Result<Self, ScriptFault> {
        let limits = request.limits;
        let deadline = started + Duration::from_millis(limits.time_ms);
        let runtime = Runtime::new().map_err(ScriptFault::broken)?;
        runtime.set_memory_limit(limits.memory);
        runtime.set_max_stack_size(limits.stack);
        let is_late = late.clone();
        runtime.set_interrupt_handler(Some(Box::new(move || {
            if Instant::now() >= deadline {
                is_late.set(true);
            }
            is_late.get()
        })));
        let too_small = |_| ScriptFault::new(FaultKind::Memory, "the memory limit is too small for any script");
        let context = Context::full(&runtime).map_err(too_small)?;
        context.with(|ctx| console::install(&ctx, log, limits.log)).map_err(too_small)?;
        Ok(Self { runtime, context, late: late.clone() })
    }

    /// The result, and whether the engine cannot be taken down in an orderly way.
    fn run(self, request: &Request) -> (Result<String, ScriptFault>, bool) {
        let result = self.context.with(|ctx| {
            let outcome = steps(&ctx, request);
            outcome.map_err(|failed| self.fault(&ctx, failed, request))
        });
        let spent = matches!(&result, Err(f) if matches!(f.kind, FaultKind::Time | FaultKind::Memory));
        if spent {
            // What the globals hold cannot be collected any more; freeing it may fail on the engine's own assertions.
            std::mem::forget((self.context, self.runtime));
        }
        (result, spent)
    }

    fn fault<'js>(&self, ctx: &Ctx<'js>, failed: Failed<'js>, request: &Request) -> ScriptFault {
        let mut fault = match failed {
            Failed::Fault(fault) => fault,
            Failed::Caught(CaughtError::Exception(exception), step) => thrown(exception.as_object(), step),
            Failed::Caught(CaughtError::Value(value), step) => uncommon(ctx, value, step),
            Failed::Caught(CaughtError::Error(Error::Allocation), _) => out_of_memory(),
            Failed::Caught(CaughtError::Error(error), _) => ScriptFault::broken(error),
        };
        // Interrupted jobs settle no promise, so lateness has many faces.
        if self.late.get() {
            fault.kind = FaultKind::Time;
            fault.message = format!("the time limit of {} ms is over", request.limits.time_ms);
        } else if fault.kind == FaultKind::Memory {
            fault.message = format!("the memory limit of {} kB is reached", request.limits.memory >> 10);
        }
        fault
    }
}

/// Where a call can fail, to tell what a `SyntaxError` means.
#[derive(Clone, Copy, PartialEq)]
enum Step {
    Load,
    Argument,
    Call,
    Result,
}

enum Failed<'js> {
    Fault(ScriptFault),
    Caught(CaughtError<'js>, Step),
}

fn at<'js, T>(result: rquickjs::Result<T>, ctx: &Ctx<'js>, step: Step) -> Result<T, Failed<'js>> {
    result.catch(ctx).map_err(|caught| Failed::Caught(caught, step))
}

fn steps<'js>(ctx: &Ctx<'js>, request: &Request) -> Result<String, Failed<'js>> {
    at(load(ctx, &request.source), ctx, Step::Load)?;
    let function = at(find(ctx, &request.function), ctx, Step::Load)?.ok_or_else(|| {
        let text = format!("the script has no function '{}'", request.function);
        Failed::Fault(ScriptFault::new(FaultKind::NoFunction, text))
    })?;
    let Some((event, context)) = &request.arguments else { return Ok("null".to_owned()) };
    let event = at(ctx.json_parse(event.as_str()), ctx, Step::Argument)?;
    let context = at(ctx.json_parse(context.as_str()), ctx, Step::Argument)?;
    let returned = at(function.call::<_, MaybePromise<'_>>((event, context)), ctx, Step::Call)?;
    let value: Value<'js> = match returned.finish() {
        Err(Error::WouldBlock) => {
            let text = "the function returned a promise that nothing settles; there are no timers and no input";
            return Err(Failed::Fault(ScriptFault::new(FaultKind::Result, text)));
        }
        settled => at(settled, ctx, Step::Call)?,
    };
    let text = at(ctx.json_stringify(value), ctx, Step::Result)?;
    let text = at(text.map(|text| text.to_string()).transpose(), ctx, Step::Result)?;
    let text = text.unwrap_or_else(|| "null".to_owned());
    if text.len() > request.limits.result {
        let text = format!("the result has {} bytes of JSON, more than {}", text.len(), request.limits.result);
        return Err(Failed::Fault(ScriptFault::new(FaultKind::Result, text)));
    }
    Ok(text)
}

/// Runs the script itself, which declares its functions.
fn load(ctx: &Ctx<'_>, source: &str) -> rquickjs::Result<()> {
    let (module, exports) = (Object::new(ctx.clone())?, Object::new(ctx.clone())?);
    module.set("exports", exports.clone())?;
    ctx.globals().set("module", module)?;
    ctx.globals().set("exports", exports)?;
    let mut options = EvalOptions::default();
    options.strict = false;
    options.filename = Some(NAME.to_owned());
    ctx.eval_with_options::<Value<'_>, _>(source, options).map(|_| ())
}

/// The function of a name: declared, or exported as Node.js does it. `name` is an identifier, which the pool has checked.
fn find<'js>(ctx: &Ctx<'js>, name: &str) -> rquickjs::Result<Option<Function<'js>>> {
    let look = format!("typeof {name}==='function'?{name}:Object(Object(module).exports).{name}");
    let found: Value<'js> = ctx.eval(look)?;
    if let Some(function) = found.into_function() {
        return Ok(Some(function));
    }
    let look = format!("Object(exports).{name}");
    Ok(ctx.eval::<Value<'js>, _>(look)?.into_function())
}

fn out_of_memory() -> ScriptFault {
    ScriptFault::new(FaultKind::Memory, "the memory limit is reached")
}

/// Reads an error object. Each reading may run the script's code; what fails is left out.
fn thrown(error: &Object<'_>, step: Step) -> ScriptFault {
    let text = |name: &str| error.get::<_, Option<Coerced<String>>>(name).ok().flatten().map(|t| t.0);
    let (name, message) = (text("name").unwrap_or_default(), text("message").unwrap_or_default());
    let (line, column) = text("stack").as_deref().and_then(place).unzip();
    let kind = match step {
        _ if name == "InternalError" && message == "out of memory" => FaultKind::Memory,
        Step::Load if name == "SyntaxError" => FaultKind::Syntax,
        Step::Argument => FaultKind::Argument,
        Step::Result => FaultKind::Result,
        Step::Load | Step::Call => FaultKind::Thrown,
    };
    let message = match (name.as_str(), message.as_str()) {
        ("", "") => "an error without a text was thrown".to_owned(),
        ("", text) | (text, "") => text.to_owned(),
        (name, text) => format!("{name}: {text}"),
    };
    ScriptFault { line, column, ..ScriptFault::new(kind, message) }
}

/// What was thrown is no `Error`. The engine throws `null` when not even its error finds memory.
fn uncommon<'js>(ctx: &Ctx<'js>, value: Value<'js>, step: Step) -> ScriptFault {
    if value.is_null() || value.is_undefined() {
        return out_of_memory();
    }
    let json = ctx.json_stringify(value.clone()).ok().flatten().and_then(|text| text.to_string().ok());
    let text = json.or_else(|| value.get::<Coerced<String>>().ok().map(|t| t.0)).unwrap_or_default();
    let kind = if step == Step::Result { FaultKind::Result } else { FaultKind::Thrown };
    ScriptFault::new(kind, format!("thrown: {text}"))
}

/// The first place in the script that a trace names, `at f (function.js:3:11)`: line and column.
fn place(stack: &str) -> Option<(u32, u32)> {
    stack.lines().find_map(|line| {
        let (_, place) = line.rsplit_once(NAME)?;
        let mut numbers = place.trim_start_matches(':').split(|c: char| !c.is_ascii_digit());
        let number = numbers.next()?.parse().ok()?;
        Some((number, numbers.next().and_then(|n| n.parse().ok()).unwrap_or(1)))
    })
}
