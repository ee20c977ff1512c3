//! Finds what makes a workflow's body give something else on its replay: clocks, randomness, and whatever waits for or talks to
//! the world, or to the application, outside a step.
//!
//! It reads names, so it is advice and no proof: a helper that reads the clock goes unseen.

use proc_macro2::{Delimiter, Group, Ident, TokenStream, TokenTree};
use syn::{Error, Result};

/// A kind of nondeterminism.
struct Category {
    /// The word in `allow(…)`.
    word: &'static str,
    /// Path endings that name it; `*` stands for any name.
    paths: &'static [&'static [&'static str]],
    /// Names that are called without a path.
    calls: &'static [&'static str],
    /// Names that are called as macros.
    macros: &'static [&'static str],
    /// Why it is refused, and what to write instead.
    advice: &'static str,
}

/// Calls of the application, which no path names.
const APP: Category = Category {
    word: "app",
    paths: &[],
    calls: &[],
    macros: &[],
    advice: "gives the application, whose calls are not recorded: use the operations of `ctx`, or ask for it in the body of a step",
};

const CATEGORIES: [Category; 8] = [
    Category {
        word: "clock",
        paths: &[
            &["Instant", "now"],
            &["SystemTime", "now"],
            &["Utc", "now"],
            &["Local", "now"],
            &["OffsetDateTime", "now_utc"],
            &["OffsetDateTime", "now_local"],
            &["Timestamp", "now"],
            &["Zoned", "now"],
        ],
        calls: &[],
        macros: &[],
        advice: "gives another time on a replay; read it in a step: `ctx.step(\"now\", || async { … })`",
    },
    Category {
        word: "random",
        paths: &[
            &["rand", "*"],
            &["fastrand", "*"],
            &["getrandom", "*"],
            &["Uuid", "new_v4"],
            &["Uuid", "now_v7"],
            &["Uuid", "new_v7"],
        ],
        calls: &["thread_rng"],
        macros: &[],
        advice: "gives another value on a replay; draw it in a step: `ctx.step(\"draw\", || async { … })`",
    },
    Category {
        word: "sleep",
        paths: &[
            &["tokio", "time", "*"],
            &["time", "sleep"],
            &["time", "timeout"],
            &["thread", "sleep"],
        ],
        calls: &["sleep", "sleep_until", "timeout"],
        macros: &[],
        advice: "is forgotten by a restart; use `ctx.sleep(…)`, or `.timeout(…)` on the step",
    },
    Category {
        word: "spawn",
        paths: &[
            &["tokio", "spawn"],
            &["task", "spawn"],
            &["task", "spawn_blocking"],
            &["task", "spawn_local"],
            &["thread", "spawn"],
            &["JoinSet", "new"],
        ],
        calls: &["spawn", "spawn_blocking"],
        macros: &[],
        advice: "runs beside the workflow, where nothing is recorded; start a child workflow, `join!` built steps, or spawn inside a step",
    },
    Category {
        word: "env",
        paths: &[
            &["env", "var"],
            &["env", "vars"],
            &["env", "args"],
            &["env", "var_os"],
            &["env", "current_dir"],
        ],
        calls: &[],
        macros: &[],
        advice: "may differ where the workflow is recovered; read it in a step, or give it to the builder as `.state(…)`",
    },
    Category {
        word: "io",
        paths: &[
            &["fs", "*"],
            &["net", "*"],
            &["File", "open"],
            &["File", "create"],
            &["TcpStream", "connect"],
            &["UdpSocket", "bind"],
            &["reqwest", "*"],
        ],
        calls: &[],
        macros: &[],
        advice: "talks to the world again on every replay; do it in a step: `ctx.step(\"…\", || async { … })`",
    },
    Category {
        word: "race",
        paths: &[],
        calls: &[],
        macros: &["select"],
        advice: "polls its branches in an order that no run repeats; write `select! { biased; … }` or `select_biased!`, which a replay decides as it was",
    },
    APP,
];

/// Methods whose arguments run outside the replay.
const STEPS: [&str; 2] = ["step", "transaction"];

/// Reports everything in a workflow's body that its replay could not repeat, except for what is allowed.
pub(crate) fn check(body: TokenStream, allowed: &[Ident]) -> Result<()> {
    let words: Vec<_> = CATEGORIES.iter().map(|category| category.word).collect();
    if let Some(unknown) = allowed
        .iter()
        .find(|word| !words.iter().any(|known| word == known))
    {
        let message = format!(
            "`{unknown}` is nothing to allow; there are: {}",
            words.join(", ")
        );
        return Err(Error::new(unknown.span(), message));
    }
    let mut found = Vec::new();
    scan(body, &mut found);
    let refused = found
        .into_iter()
        .filter(|finding| !allowed.iter().any(|word| word == finding.category.word))
        .map(Finding::into_error);
    let all = refused.reduce(|mut all, next| {
        all.combine(next);
        all
    });
    all.map_or(Ok(()), Err)
}

struct Finding {
    category: &'static Category,
    written: String,
    at: Ident,
}

impl Finding {
    fn into_error(self) -> Error {
        let (written, advice, word) = (self.written, self.category.advice, self.category.word);
        let message = format!(
            "`{written}` in a workflow's body {advice}; or allow it: `#[workflow(allow({word}))]`"
        );
        Error::new(self.at.span(), message)
    }
}

fn scan(tokens: TokenStream, found: &mut Vec<Finding>) {
    let tokens: Vec<_> = tokens.into_iter().collect();
    let mut index = 0;
    while index < tokens.len() {
        match &tokens[index] {
            TokenTree::Group(group) => scan(group.stream(), found),
            TokenTree::Ident(_) => {
                let (path, after) = path(&tokens, index);
                let is_method = index > 0 && is_punct(&tokens[index - 1], '.');
                let call = after_turbofish(&tokens, after);
                if is_method {
                    if STEPS.iter().any(|step| path[0] == step)
                        && call_group(&tokens, call).is_some()
                    {
                        index = call;
                    }
                    if path[0] == "state" && names_app(&tokens[after..call]) {
                        found.push(Finding {
                            category: &APP,
                            written: "ctx.state::<App>()".to_owned(),
                            at: path[0].clone(),
                        });
                    }
                } else {
                    found.extend(judge(&path, &tokens, call));
                }
                index = index.max(after - 1);
            }
            TokenTree::Punct(_) | TokenTree::Literal(_) => {}
        }
        index += 1;
    }
}

/// The path that begins here, and the index after it.
fn path(tokens: &[TokenTree], start: usize) -> (Vec<Ident>, usize) {
    let mut path = Vec::new();
    let mut index = start;
    while let Some(TokenTree::Ident(name)) = tokens.get(index) {
        path.push(name.clone());
        index += 1;
        let separated = tokens
            .get(index..index + 2)
            .is_some_and(|next| next.iter().all(|token| is_punct(token, ':')));
        if !separated || !matches!(tokens.get(index + 2), Some(TokenTree::Ident(_))) {
            break;
        }
        index += 2;
    }
    (path, index)
}

/// The index after `::<…>`, if that stands here.
fn after_turbofish(tokens: &[TokenTree], index: usize) -> usize {
    let opens = [':', ':', '<'];
    let stands = opens.iter().enumerate().all(|(offset, character)| {
        tokens
            .get(index + offset)
            .is_some_and(|token| is_punct(token, *character))
    });
    if !stands {
        return index;
    }
    let mut depth = 0;
    for (offset, token) in tokens[index + 2..].iter().enumerate() {
        if is_punct(token, '<') {
            depth += 1;
        } else if is_punct(token, '>') {
            depth -= 1;
            if depth == 0 {
                return index + 2 + offset + 1;
            }
        }
    }
    index
}

/// Whether the application's type is named between these angle brackets, also within another type.
fn names_app(turbofish: &[TokenTree]) -> bool {
    let begins = |index: &usize| {
        let joined = *index > 0 && is_punct(&turbofish[index - 1], ':');
        matches!(turbofish[*index], TokenTree::Ident(_)) && !joined
    };
    let mut paths = (0..turbofish.len())
        .filter(begins)
        .map(|index| path(turbofish, index).0);
    paths.any(|path| {
        let names: Vec<_> = path.iter().map(Ident::to_string).collect();
        names == ["App"] || names == ["durable", "App"]
    })
}

fn call_group(tokens: &[TokenTree], index: usize) -> Option<&Group> {
    match tokens.get(index) {
        Some(TokenTree::Group(group)) if group.delimiter() == Delimiter::Parenthesis => Some(group),
        _ => None,
    }
}

fn judge(path: &[Ident], tokens: &[TokenTree], after: usize) -> Option<Finding> {
    let is_call = call_group(tokens, after).is_some();
    let is_macro = tokens.get(after).is_some_and(|token| is_punct(token, '!'));
    let is_biased =
        matches!(tokens.get(after + 1), Some(TokenTree::Group(group)) if begins_biased(group));
    let last = path.last()?;
    let named = |names: &[&str]| names.iter().any(|name| last == name);
    let category = CATEGORIES.iter().find(|category| {
        let by_path = category.paths.iter().any(|pattern| matches(path, pattern));
        let by_call = path.len() == 1 && is_call && named(category.calls);
        let by_macro = is_macro && named(category.macros) && !is_biased;
        by_path || by_call || by_macro
    })?;
    let written: Vec<_> = path.iter().map(Ident::to_string).collect();
    Some(Finding {
        category,
        written: written.join("::") + if is_macro { "!" } else { "" },
        at: last.clone(),
    })
}

/// Whether these are the arguments of a `select!` that polls its branches from the first to the last.
fn begins_biased(arguments: &Group) -> bool {
    let first = arguments.stream().into_iter().next();
    matches!(first, Some(TokenTree::Ident(word)) if word == "biased")
}

/// Whether a path ends as the pattern says. Before a `*` the pattern must be met at a module, so `*` never stands alone.
fn matches(path: &[Ident], pattern: &[&str]) -> bool {
    path.len() >= pattern.len()
        && path.windows(pattern.len()).any(|window| {
            window
                .iter()
                .zip(pattern)
                .all(|(name, wanted)| *wanted == "*" || name == wanted)
        })
}

fn is_punct(token: &TokenTree, character: char) -> bool {
    matches!(token, TokenTree::Punct(punct) if punct.as_char() == character)
}

#[cfg(test)]
mod tests {
    use proc_macro2::Span;

    use super::*;

    fn findings(code: &str, allowed: &[&str]) -> Vec<String> {
        let allowed: Vec<_> = allowed
            .iter()
            .map(|word| Ident::new(word, Span::call_site()))
            .collect();
        match check(code.parse().expect("tokens"), &allowed) {
            Ok(()) => Vec::new(),
            Err(error) => error.into_iter().map(|error| error.to_string()).collect(),
        }
    }

    #[test]
    fn each_usual_suspect_is_refused_with_advice_and_can_be_allowed() {
        for (word, code, advice) in [
            ("clock", "{ let t = chrono::Utc::now(); }", "in a step"),
            ("clock", "{ std::time::Instant::now() }", "in a step"),
            ("random", "{ rand::random::<u8>() }", "in a step"),
            ("random", "{ let id = Uuid::new_v4(); }", "in a step"),
            ("sleep", "{ tokio::time::sleep(d).await }", "`ctx.sleep(…)`"),
            ("sleep", "{ sleep(d).await }", "`ctx.sleep(…)`"),
            ("spawn", "{ tokio::spawn(async {}) }", "child workflow"),
            (
                "spawn",
                "{ JoinSet::<u8>::new(); std::thread::spawn(f) }",
                "child workflow",
            ),
            ("env", "{ std::env::var(\"X\") }", "`.state(…)`"),
            ("io", "{ tokio::fs::read(p).await }", "in a step"),
            ("io", "{ reqwest::get(u).await }", "in a step"),
            ("app", "{ let app = ctx.state::<App>()?; }", "of `ctx`"),
            (
                "app",
                "{ ctx.state::<OnceLock<durable::App>>()?.get() }",
                "in the body of a step",
            ),
            (
                "race",
                "{ tokio::select! { a = b => c } }",
                "`select! { biased; … }`",
            ),
            (
                "race",
                "{ foo(vec![futures::select! { a = b => c }]) }",
                "`select! { biased; … }`",
            ),
        ] {
            let found = findings(code, &[]);
            assert_eq!(found.len(), 1, "{code}: {found:?}");
            assert!(found[0].contains(advice), "{code}: {found:?}");
            assert!(
                found[0].contains(&format!("#[workflow(allow({word}))]")),
                "{found:?}"
            );
            assert_eq!(findings(code, &[word]), Vec::<String>::new(), "{code}");
        }
    }

    #[test]
    fn inside_a_step_everything_goes() {
        let code = r#"{
            let now = ctx.step("now", || async { Ok(Utc::now()) }).await?;
            let made = ctx.step::<_, u8, E>("make", || async { tokio::time::sleep(d).await; rand::random() }).await?;
            ctx.step("tell", || async { ctx.state::<App>()?.send("id", "topic", &1).await }).await?;
            source.transaction(&ctx, "debit", async |tx| { Uuid::new_v4() }).await
        }"#;
        assert_eq!(findings(code, &[]), Vec::<String>::new());
    }

    #[test]
    fn what_only_looks_alike_passes() {
        let code = "{ ctx.sleep(d).await?; order.timeout(d); let now = order.now; let env = 1; spawned(); Timer::now_or_never(); step(Utc::today()); ctx.state::<AppConfig>()?; ctx.state::<my::App>()?; ctx.state::<App::Config>()?; machine.state(App) }";
        assert_eq!(findings(code, &[]), Vec::<String>::new());
    }

    #[test]
    fn races_that_a_replay_decides_as_they_were_pass() {
        let code = "{ tokio::select! { biased; a = b => c }; select_biased! { a = b => c }; future::select(a, b); select_all(steps) }";
        assert_eq!(findings(code, &[]), Vec::<String>::new());
    }

    #[test]
    fn all_are_reported_at_once() {
        assert_eq!(
            findings("{ Utc::now(); tokio::spawn(f()); step(Utc::now()) }", &[]).len(),
            3
        );
        let unknown = findings("{}", &["luck"]);
        assert!(
            unknown[0].contains("there are: clock, random"),
            "{unknown:?}"
        );
    }
}
