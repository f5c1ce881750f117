//! The pages in a real browser.

use std::process::Command;

use crate::support::Project;

/// The page's document after its scripts ran.
fn document(project: &Project, page: &str, script: &str) -> String {
    let path = project.path(page);
    let whole = project.read(page).replace("</body>", &format!("<script>{script}</script></body>"));
    let altered = path.with_extension("test.html");
    std::fs::write(&altered, whole).unwrap();
    let mut chromium = Command::new("chromium");
    chromium.args(["--headless=new", "--no-sandbox", "--disable-gpu", "--window-size=500,800", "--dump-dom"]);
    let output = chromium.arg(format!("file://{}", altered.display())).output().unwrap();
    String::from_utf8(output.stdout).unwrap()
}

#[test]
#[ignore = "needs Chromium: cargo test --release -p wellformed-report --test report browser -- --ignored"]
fn the_filter_narrows_the_list_and_the_page_is_no_wider_than_the_window() {
    let project = Project::with_data();
    assert!(project.run(&[]).status.success());
    let script = "
        const field = document.querySelector('[data-filter=source]');
        field.value = 'gh78';
        field.dispatchEvent(new Event('input', { bubbles: true }));
        const left = [...document.querySelectorAll('.examples li:not([hidden])')];
        document.title = JSON.stringify({
          all: document.querySelectorAll('.examples li').length,
          left: left.length,
          fits: left.every((item) => item.dataset.source === 'gh78'),
          says: document.querySelector('output').textContent,
          wide: document.documentElement.scrollWidth - document.documentElement.clientWidth,
        });";
    let page = document(&project, "report/index.html", script);
    let title = page.split("<title>").nth(1).unwrap().split("</title>").next().unwrap();
    let found: serde_json::Value = serde_json::from_str(title).unwrap_or_else(|_| panic!("{title}"));
    let (all, left) = (found["all"].as_u64().unwrap(), found["left"].as_u64().unwrap());
    assert!(left > 0 && left < all, "{found}");
    assert_eq!(found["fits"], true, "{found}");
    assert_eq!(found["says"], format!("{left} of {all} sentences"));
    assert_eq!(found["wide"], 0, "{found}");
}
