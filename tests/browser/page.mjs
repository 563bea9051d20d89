// SPDX-License-Identifier: MPL-2.0
// The viewer in a real browser: each view, live updates, deep links, hostile text, many
// resources, a server that goes and comes back. Prints TAP. SHOTS=DIR keeps pictures.
import {chromium} from "playwright-core";
import {execFileSync, spawn} from "node:child_process";
import {appendFileSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync, chmodSync} from "node:fs";
import {createServer} from "node:net";
import {createRequire} from "node:module";
import {tmpdir} from "node:os";
import path from "node:path";
import assert from "node:assert/strict";
import {scene} from "./scene.mjs";

const build = path.resolve(process.env.BUILD ?? "build"), spinel = path.join(build, "spinel");
const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const dir = mkdtempSync(path.join(tmpdir(), "spinel-browser-")), site = path.join(dir, "rack/spinel.yaml");
const TOKEN = [...crypto.getRandomValues(new Uint8Array(20))].map((b) => b.toString(16)).join("");
const HOSTILE = `<img src=x onerror="window.hacked=1"><script>window.hacked=1</script>'"&\u202e`;
const env = {...process.env, HOME: dir, SPINEL_SITE: site, GIT_CONFIG_GLOBAL: "/dev/null", GIT_AUTHOR_NAME: "Ada <b>", GIT_AUTHOR_EMAIL: "ada@example.org",
  GIT_COMMITTER_NAME: "Ada", GIT_COMMITTER_EMAIL: "ada@example.org", PATH: build + ":" + process.env.PATH};
const run = (program, ...args) => execFileSync(program, args, {cwd: dir, env, encoding: "utf8", maxBuffer: 64 << 20, stdio: ["ignore", "pipe", "pipe"]});
const git = (...args) => run("git", "-C", "rack/manifests", ...args);
const sleep = (ms) => new Promise((done) => setTimeout(done, ms));
async function until(what, seconds = 20) {
  const end = Date.now() + seconds * 1000;
  for (;;) {
    let why = "";
    try { if (await what()) return; } catch (error) { why = ": " + error.message; }
    if (Date.now() > end) throw new Error("still not so: " + what + why);
    await sleep(50);
  }
}
const freePort = () => new Promise((done) => { const s = createServer().listen(0, "127.0.0.1", () => { const {port} = s.address(); s.close(() => done(port)); }); });

let daemon = null;
const port = await freePort(), origin = `http://127.0.0.1:${port}`;
const daemonStart = () => { daemon = spawn(spinel, ["serve"], {cwd: dir, env, stdio: "ignore"}); };
const daemonStop = async () => { if (!daemon) return; const ended = new Promise((done) => daemon.once("exit", done)); daemon.kill("SIGTERM"); await ended; daemon = null; };
const api = async (name) => (await fetch(`${origin}/api/v1/${name}`)).json();
const sim = (...args) => run(path.join(build, "drivers/sim"), "--world", "rack/state/drivers/sim/world", ...args);
const push = () => { try { git("push", "-q"); } catch (error) { if (!String(error.stderr).includes("remote:")) throw error; } };

// ---- the browser --------------------------------------------------------------------------

const faults = [];
async function pageOpen(browser, options = {}) {
  const context = await browser.newContext({viewport: {width: 1280, height: 800}, ...options});
  const page = await context.newPage();
  page.on("console", (m) => { if (m.type() === "error" && !page.expectsFailure) faults.push("console: " + m.text()); });
  page.on("pageerror", (e) => faults.push("page: " + e.message));
  page.on("request", (r) => { if (!r.url().startsWith(origin) && !r.url().startsWith("data:")) faults.push("left the origin: " + r.url()); });
  return page;
}
async function show(page, hash) {
  await page.goto(`${origin}/#/${hash}`);
  await page.waitForSelector(`main[data-at="#/${hash.split("?")[0]}"] h1`);
}
async function accessible(page, where) {
  await page.evaluate(axe);
  const {violations} = await page.evaluate(() => axe.run({runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"]}));
  const bad = violations.filter((v) => ["serious", "critical"].includes(v.impact));
  assert.deepEqual(bad.map((v) => `${where}: ${v.id}: ${v.nodes[0].html.slice(0, 120)} ${v.nodes[0].failureSummary}`), []);
}
const shot = async (page, name) => { if (process.env.SHOTS) await page.screenshot({path: path.join(process.env.SHOTS, name + ".png")}); };

const tests = [];
const test = (name, body) => tests.push([name, body]);
const VIEWS = ["", "resources", "network", "drift", "plan", "operations", "revisions", "events", "trace/1"];

test("each view draws, and axe finds no serious fault in light, dark and on a phone", async (browser) => {
  for (const [mode, options] of [["light", {}], ["dark", {colorScheme: "dark"}], ["phone", {viewport: {width: 390, height: 844}, hasTouch: true}]]) {
    const page = await pageOpen(browser, options);
    const uid = (await api("resources?kind=Instance")).items[0].uid;
    for (const view of [...VIEWS, "resource/" + uid]) {
      await show(page, view);
      await sleep(150);
      assert.doesNotMatch(await page.textContent("main"), /It cannot be shown|no such view/);
      await accessible(page, mode + " " + view);
      if (mode === "phone") assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth + 1), "wider than the phone: " + view);
      await shot(page, `${mode}-${view.split("/")[0] || "overview"}`);
    }
    await page.context().close();
  }
});

test("what a manifest and a commit say is text, never markup", async (browser) => {
  const page = await pageOpen(browser);
  for (const view of ["revisions", "events", "plan", "resource/" + (await api("resources?kind=Project")).items[0].uid, ""]) {
    await show(page, view);
    await sleep(100);
    assert.equal(await page.evaluate(() => window.hacked), undefined);
    assert.equal(await page.locator("main img, main script").count(), 0);
  }
  await show(page, "revisions");
  assert.match(await page.textContent("main"), /<img src=x/);
  await page.context().close();
});

test("a change of the world is on the page without a reload, and so is its healing", async (browser) => {
  const page = await pageOpen(browser);
  await show(page, "");
  await page.waitForSelector("text=The rack is as Git says.");
  await until(async () => (await page.textContent("#live")) === "live");
  const {uid} = (await api("resources?kind=Volume")).items[0];
  const began = Date.now();
  sim("set", uid, "spec.size", "1073741824"); // larger than declared: nothing shrinks a volume
  await page.waitForFunction(() => /drifting|held/.test(document.querySelector("h1.verdict")?.textContent ?? ""), null, {timeout: 20000});
  console.log(`# told after ${Date.now() - began} ms`);
  await show(page, "drift");
  assert.match(await page.textContent("main"), /spec\.size/);
  assert.ok(await page.locator("svg .bar").count() > 0);
  await shot(page, "drift-open");
  sim("set", uid, "spec.size", "67108864");
  await show(page, "");
  await page.waitForSelector("text=The rack is as Git says.", {timeout: 20000});
  await page.context().close();
});

test("a field that comes back again and again is one row that says how often", async (browser) => {
  const {uid} = (await api("resources?kind=Subnet")).items[0];
  for (let i = 0; i < 3; i++) {
    const before = (await api("drift")).drift.filter((d) => d.uid === uid && d.healed).length;
    sim("delete", uid);
    await until(async () => (await api("drift")).drift.filter((d) => d.uid === uid && d.healed).length > before);
  }
  const page = await pageOpen(browser);
  await show(page, "drift");
  const rows = page.locator("main tr", {hasText: "Subnet shop/apps"});
  await until(async () => await rows.count() === 1);
  assert.match(await rows.textContent(), /3 times in/);
  await page.context().close();
});

test("filters live in the URL, and a deep link shows the same again", async (browser) => {
  const page = await pageOpen(browser);
  await show(page, "resources");
  await page.selectOption("select[name=kind]", "Volume");
  await page.fill("input[name=q]", "web");
  await until(async () => (await page.textContent("[role=status].soft, p[role=status]")).startsWith("1 resource"));
  await until(() => /q=web/.test(page.url()));
  const url = page.url();
  assert.match(url, /kind=Volume/);
  const other = await pageOpen(browser);
  await other.goto(url);
  await other.waitForSelector(".window .space .row a");
  assert.equal(await other.inputValue("input[name=q]"), "web");
  assert.equal(await other.locator(".window .space .row").count(), 1);
  await other.click(".window .space .row a");
  await other.waitForSelector("text=Desired, booted, observed");
  await other.goBack();
  await other.waitForSelector(".window .space .row a");
  await page.context().close(); await other.context().close();
});

test("a resource shows what it needs and what needs it, branch by branch", async (browser) => {
  const page = await pageOpen(browser);
  await show(page, "resource/" + (await api("resources?kind=Instance")).items[0].uid);
  const volume = page.locator("ul.tree > li", {hasText: "Volume shop/"});
  await volume.first().waitFor();
  await show(page, "resource/" + (await api("resources?kind=VPC")).items[0].uid);
  const subnet = page.locator("ul.tree > li", {hasText: "Subnet shop/apps"}).first();
  await subnet.locator("summary").first().click();
  await subnet.locator("ul.tree a").first().waitFor();
  await page.context().close();
});

test("it is used by keyboard alone", async (browser) => {
  const page = await pageOpen(browser);
  await show(page, "");
  await page.keyboard.press("Tab");
  assert.equal(await page.evaluate(() => document.activeElement.className), "skip");
  for (let i = 0; i < 4; i++) await page.keyboard.press("Tab");
  assert.equal(await page.evaluate(() => document.activeElement.textContent), "Network");
  await page.keyboard.press("Enter");
  await page.waitForSelector("svg.map");
  assert.equal(await page.evaluate(() => document.activeElement.id), "view");
  await page.context().close();
});

test("a freeze is decided with the token only, and lifted", async (browser) => {
  const page = await pageOpen(browser);
  page.expectsFailure = true;
  const post = (body, headers) => fetch(origin + "/api/v1/freeze", {method: "POST", body: JSON.stringify(body), headers: {"Content-Type": "application/json", ...headers}});
  const freeze = {what: "healing", why: "test"};
  assert.equal((await post(freeze, {})).status, 401);
  assert.equal((await post(freeze, {Authorization: "Bearer wrong-wrong-wrong-wrong"})).status, 401);
  assert.equal((await post(freeze, {Authorization: "Bearer " + TOKEN, Origin: "http://evil.example"})).status, 403);
  assert.equal((await post(freeze, {Authorization: "Bearer " + TOKEN, "Content-Type": "text/plain"})).status, 403);
  assert.equal((await post({what: "all"}, {Authorization: "Bearer " + TOKEN})).status, 400);
  assert.equal((await post({...freeze, why: "x".repeat(9000)}, {Authorization: "Bearer " + TOKEN})).status, 413);
  assert.deepEqual((await api("status")).freezes, []);
  await show(page, "");
  await page.click("summary:has-text('Freeze')");
  await page.fill("input[name=why]", HOSTILE);
  await page.click("details button");
  await page.fill("input[name=token]", "not the token at all");
  await page.click("#decide button:has-text('Decide')");
  await page.waitForSelector("#decide [role=alert]:has-text('wrong')");
  await accessible(page, "dialog");
  await page.fill("input[name=token]", TOKEN);
  await page.click("#decide button:has-text('Decide')");
  await page.waitForSelector(".banner:has-text('frozen by')");
  assert.equal(await page.evaluate(() => window.hacked), undefined);
  await page.click(".banner button");
  await page.click("#decide button:has-text('Decide')");
  await until(async () => (await api("status")).freezes.length === 0);
  await page.context().close();
});

test("what a person types, opens and stands on stays while the world changes", async (browser) => {
  const page = await pageOpen(browser), {uid} = (await api("resources?kind=Volume")).items[0];
  await show(page, "");
  await page.click("summary:has-text('Freeze')");
  await page.fill("input[name=why]", "half a sentence");
  sim("set", uid, "spec.size", "1073741824");
  await page.waitForSelector("h1.verdict:has-text('drifting')");
  assert.equal(await page.inputValue("input[name=why]"), "half a sentence");
  assert.equal(await page.evaluate(() => document.activeElement.name), "why");
  await show(page, "network");
  await page.click("section summary");
  await page.focus("svg.map a.node");
  const at = await page.evaluate(() => document.activeElement.dataset.key);
  const before = Number(await page.evaluate(() => document.querySelector("#view").dataset.drawn));
  sim("set", uid, "spec.size", "67108864");
  await until(async () => Number(await page.evaluate(() => document.querySelector("#view").dataset.drawn)) > before);
  assert.equal(await page.evaluate(() => document.activeElement.dataset.key), at);
  assert.ok(await page.isVisible("section details[open] table"));
  await page.context().close();
});

test("resources are sorted by a column, and an older answer never overwrites a newer", async (browser) => {
  const page = await pageOpen(browser);
  await show(page, "resources");
  const kinds = () => page.locator(".window .space .row > :nth-child(1)").allTextContents();
  await page.click("button[data-sort=kind]");
  await until(async () => { const k = await kinds(); return k.length > 3 && String(k) === String([...k].sort()); });
  await page.click("button[data-sort=kind]");
  await until(async () => { const k = await kinds(); return k.length > 3 && String(k) === String([...k].sort().reverse()); });
  assert.match(page.url(), /sort=kind&order=down/);
  await page.route("**/api/v1/resources?q=w&*", async (route) => { await sleep(1500); await route.continue().catch(() => {}); });
  await page.fill("input[name=q]", "w");
  await sleep(300);
  await page.fill("input[name=q]", "firewall");
  await sleep(2500);
  assert.deepEqual(await kinds(), ["Firewall"]);
  await page.context().close();
});

test("drift is readable on a phone", async (browser) => {
  const page = await pageOpen(browser, {viewport: {width: 390, height: 844}, hasTouch: true}), {uid} = (await api("resources?kind=Volume")).items[0];
  sim("set", uid, "spec.size", "1073741824");
  await until(async () => (await api("status")).resources.drifting === 1);
  await show(page, "drift");
  const cells = page.locator("tbody tr").first().locator("td");
  await cells.first().waitFor();
  await shot(page, "phone-drift-open");
  for (const box of await cells.evaluateAll((list) => list.filter((e) => e.textContent).map((e) => e.getBoundingClientRect().toJSON()))) {
    assert.ok(box.left >= 0 && box.right <= 390 && box.width > 250 && box.height < 80, JSON.stringify(box));
  }
  assert.match(await page.textContent("tbody tr"), /volumes never shrink/);
  sim("set", uid, "spec.size", "67108864");
  await until(async () => (await api("status")).resources.drifting === 0);
  await page.context().close();
});

test("what is ignored is not called drift, and is shown on request", async (browser) => {
  const {uid} = (await api("resources?kind=VPC")).items[0], starter = path.join(dir, "rack/manifests/starter.yaml"), before = readFileSync(starter, "utf8");
  writeFileSync(starter, before.replace(/(kind: VPC\nmetadata: \{)/, "$1driftPolicy: {spec.mtu: ignore}, "));
  git("commit", "-qam", "Ignore the MTU"); push();
  await until(async () => (await api("status")).converged);
  sim("set", uid, "spec.mtu", "1400");
  await until(async () => (await api("drift?uid=" + uid)).drift.some((d) => d.disposition === "ignored" && !d.healed));
  const page = await pageOpen(browser);
  await show(page, "");
  await page.waitForSelector("text=The rack is as Git says.");
  assert.equal((await api("status")).resources.drifting, 0);
  await show(page, "drift");
  assert.equal(await page.locator("td:has-text('spec.mtu')").count(), 0);
  await page.check("input[name=ignored]");
  await page.waitForSelector("td:has-text('spec.mtu')");
  sim("set", uid, "spec.mtu", "1500");
  await until(async () => (await api("drift?uid=" + uid)).drift.every((d) => d.healed));
  await page.context().close();
});

test("more tabs than a browser has connections are all live", async (browser) => {
  const context = await browser.newContext(), pages = [];
  for (let i = 0; i < 8; i++) {
    const page = await context.newPage();
    await page.goto(origin + "/#/events", {timeout: 10000});
    await page.waitForSelector("#live.true", {timeout: 10000});
    pages.push(page);
  }
  const {uid} = (await api("resources?kind=Subnet")).items[0];
  sim("delete", uid);
  for (const page of [pages[0], pages[7]]) await page.waitForSelector("td:has-text('drift.healed')");
  await context.close();
});

test("when the server is gone the page says so, and goes on when it is back", async (browser) => {
  const page = await pageOpen(browser);
  page.expectsFailure = true;
  await show(page, "");
  await until(async () => (await page.textContent("#live")) === "live");
  const known = (await api("resources?kind=Volume")).items[0];
  await daemonStop();
  await until(async () => /not connected since/.test(await page.textContent("#live")));
  assert.ok(await page.evaluate(() => document.body.classList.contains("stale")));
  const {uid} = known;
  sim("set", uid, "spec.size", "1073741824"); // while nobody looks
  daemonStart();
  await until(async () => (await page.textContent("#live")) === "live", 30);
  await page.waitForSelector("h1.verdict:has-text('drifting')", {timeout: 20000});
  sim("set", uid, "spec.size", "67108864");
  await page.waitForSelector("text=The rack is as Git says.", {timeout: 20000});
  await page.context().close();
});

test("10,000 resources scroll, and only those in sight exist", async (browser) => {
  const lines = [];
  for (let i = 0; i < 10000; i++)
    lines.push(`---\napiVersion: spinel/v1\nkind: Volume\nmetadata: {name: many-${i}, project: shop}\nspec: {size: 1MiB}`);
  writeFileSync(path.join(dir, "rack/manifests/many.yaml"), lines.join("\n") + "\n");
  git("add", "-A"); git("commit", "-qm", "Many");
  push();
  await until(async () => { const s = await api("status"); return s.resources.true > 10000; }, 120);
  const page = await pageOpen(browser);
  await show(page, "resources?kind=Volume");
  await until(async () => /^1000\d resources/.test(await page.textContent("p[role=status]")), 30);
  const box = page.locator(".window");
  for (const at of [0.3, 0.9, 0.5, 1]) {
    await box.evaluate((e, part) => { e.scrollTop = (e.scrollHeight - e.clientHeight) * part; }, at);
    await until(async () => (await page.locator(".window .space .row a").count()) > 5);
    assert.ok(await page.locator(".window .space .row").count() < 100, "too many rows exist");
  }
  const frames = await box.evaluate(async (e) => {
    const times = []; let last = performance.now();
    for (let i = 0; i < 60; i++) { e.scrollTop = i * 400; await new Promise(requestAnimationFrame); const now = performance.now(); times.push(now - last); last = now; }
    return times.sort((a, b) => a - b)[57];
  });
  console.log(`# scrolling: 95 % of frames within ${frames.toFixed(1)} ms`);
  await show(page, "");
  await page.waitForSelector("text=The rack is as Git says.", {timeout: 30000});
  await page.context().close();
});

test("the page weighs less than 150 kB, and all of it comes from the program", async (browser) => {
  const page = await pageOpen(browser);
  const began = Date.now();
  await show(page, "");
  const paint = await page.evaluate(() => performance.getEntriesByName("first-contentful-paint")[0]?.startTime);
  const drawn = Date.now() - began, weighed = () => page.evaluate(() => [...performance.getEntriesByType("navigation"), ...performance.getEntriesByType("resource")]
    .filter((e) => !e.name.includes("/api/")).reduce((sum, e) => sum + e.decodedBodySize, 0));
  await until(async () => (await weighed()) > 50000);
  const weight = await weighed();
  console.log(`# ${weight} bytes, first paint after ${Math.round(paint)} ms, drawn after ${drawn} ms`);
  assert.ok(weight > 20000 && weight < 150000, String(weight));
  await page.context().close();
});

test("a rack of 200 machines is a map that can be read, and a rule shows whom it is for", async (browser) => {
  writeFileSync(path.join(dir, "rack/manifests/scene.yaml"), scene(70).replaceAll('"project":"shop"', '"project":"store"').replace('"name":"shop"', '"name":"store"'));
  git("add", "-A"); git("commit", "-qm", "Three projects"); push();
  await until(async () => (await api("status")).converged, 60);
  const page = await pageOpen(browser);
  await show(page, "network");
  assert.ok(await page.locator("svg.map a.node[data-nic]").count() >= 210);
  const overlaps = await page.evaluate(() => {
    let count = 0;
    for (const map of document.querySelectorAll("svg.map")) {
      const boxes = [...map.querySelectorAll(".node rect")].map((e) => e.getBoundingClientRect());
      boxes.forEach((a, i) => boxes.slice(i + 1).forEach((b) => { if (a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom) count++; }));
    }
    return count;
  });
  assert.equal(overlaps, 0);
  await page.locator("svg.map a.node", {hasText: "allow db"}).first().hover();
  const hit = await page.locator("svg.map a.node.hit").count();
  assert.ok(hit > 10 && hit < 70, `${hit} lit up`);
  await shot(page, "network-200");
  await page.context().close();
  git("rm", "-q", "scene.yaml"); git("commit", "-qm", "Without them"); push();
  for (const hold of (await api("status")).holds ?? []) run(spinel, "approve", hold.id);
  await until(async () => (await api("status")).converged && (await api("status")).resources.held === 0, 60);
});

// With real parts: a process, a signal, and what the page says of it.
function missing() {
  if (process.getuid() !== 0) return "not root";
  for (const file of ["/dev/net/tun", "examples/quickstart/images.yaml"]) if (!existsSync(file)) return `no ${file}`;
  try { run("qemu-system-x86_64", "--version"); } catch { return "no QEMU"; }
  return null;
}

test("a machine that is killed is red on the page at once, with the signal that did it", async (browser) => {
  const why = missing();
  if (why) return why;
  const at = path.join(dir, "real"), own = {...env, SPINEL_SITE: path.join(at, "spinel.yaml")}, web = await freePort();
  const ask = async (name) => (await fetch(`http://127.0.0.1:${web}/api/v1/${name}`)).json();
  const spin = (...args) => execFileSync(spinel, args, {cwd: dir, env: own, encoding: "utf8", maxBuffer: 64 << 20, stdio: ["ignore", "pipe", "pipe"]});
  spin("init", at);
  appendFileSync(own.SPINEL_SITE, `  web: {listen: "127.0.0.1:${web}"}\n`);
  execFileSync("git", ["-C", path.join(at, "manifests"), "rm", "-rq", "."], {env: own});
  writeFileSync(path.join(at, "manifests/images.yaml"), readFileSync("examples/quickstart/images.yaml"));
  writeFileSync(path.join(at, "manifests/rack.yaml"), `apiVersion: spinel/v1\nkind: Project\nmetadata: {name: shop}\nspec: {}\n---
apiVersion: spinel/v1\nkind: Instance\nmetadata: {name: web-1, project: shop}
spec: {cpus: 1, memory: 192MiB, kernel: {image: guest-kernel, initrd: guest-initrd, cmdline: console=ttyS0 quiet}}\n`);
  const real = spawn(spinel, ["serve"], {cwd: dir, env: own, stdio: "ignore"}), ended = new Promise((done) => real.once("exit", done));
  const commit = (m) => { execFileSync("git", ["-C", path.join(at, "manifests"), "add", "-A"], {env: own}); execFileSync("git", ["-C", path.join(at, "manifests"), "commit", "-qm", m], {env: own}); };
  const give = () => { try { execFileSync("git", ["-C", path.join(at, "manifests"), "push", "-q"], {env: own, stdio: "ignore"}); } catch { /* told by the page */ } };
  let pid = 0;
  try {
    await until(async () => (await fetch(`http://127.0.0.1:${web}/`)).ok);
    commit("A machine"); give();
    await until(async () => (await ask("status")).converged, 90);
    const {uid} = (await ask("resources?kind=Instance")).items[0];
    pid = (await ask("resources/" + uid)).status.pid;
    spin("freeze", "healing", "--why", "to look at it");
    const context = await browser.newContext(), page = await context.newPage();
    await page.goto(`http://127.0.0.1:${web}/`);
    await page.waitForSelector("text=The rack is as Git says.");
    await page.waitForSelector("#live.true");
    const began = Date.now();
    process.kill(pid, "SIGKILL");
    await page.waitForSelector("h1.verdict .drifting", {timeout: 20000});
    console.log(`# killed, and red on the page after ${Date.now() - began} ms`);
    assert.match(await page.textContent("tbody tr"), /signal 9/);
    assert.match(await page.textContent("tbody tr"), /frozen/);
    pid = 0;
    spin("freeze", "--lift", "healing");
    await page.waitForSelector("text=The rack is as Git says.", {timeout: 60000});
    assert.notEqual((await ask("resources/" + uid)).status.pid, pid);
    await context.close();
  } finally {
    execFileSync("git", ["-C", path.join(at, "manifests"), "rm", "-q", "rack.yaml"], {env: own});
    commit("Nothing"); give();
    try { for (const hold of JSON.parse(spin("plan", "--cached", "--json")).holds) spin("approve", hold.id); } catch (error) { if (!error.stdout) throw error; for (const hold of JSON.parse(error.stdout).holds ?? []) spin("approve", hold.id); }
    await until(async () => (await ask("resources?kind=Instance")).total === 0, 60).catch((e) => console.log("# " + e.message));
    real.kill("SIGTERM");
    await ended;
  }
});

// ---- all ------------------------------------------------------------------------------------

let failed = 0, browser = null;
try {
  run(spinel, "init", "--drivers", "sim", "--example", path.resolve("examples/starter"), "rack");
  writeFileSync(path.join(dir, "token"), TOKEN + "\n");
  chmodSync(path.join(dir, "token"), 0o600);
  appendFileSync(site, `  web: {listen: "127.0.0.1:${port}", tokenFile: ${path.join(dir, "token")}}\n`);
  const starter = path.join(dir, "rack/manifests/starter.yaml");
  writeFileSync(starter, readFileSync(starter, "utf8").replace(/description: .*}/, `description: ${JSON.stringify(HOSTILE.replace("\u202e", ""))}}`));
  git("commit", "-qam", HOSTILE.replace("\u202e", ""));
  daemonStart();
  await until(async () => (await fetch(origin)).ok);
  push();
  await until(async () => (await api("status")).converged);
  browser = await chromium.launch({executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: ["--no-sandbox", "--disable-gpu"]});
  console.log(`1..${tests.length}`);
  for (const [i, [name, body]] of tests.entries()) {
    let why = null, skipped = null;
    faults.length = 0;
    try { skipped = await body(browser); assert.deepEqual(faults, []); } catch (error) { why = error; failed++; }
    for (const context of browser.contexts()) await context.close();
    console.log(`${why ? "not ok" : "ok"} ${i + 1} ${name}${skipped ? ` # SKIP ${skipped}` : ""}`);
    if (why) console.log(String(why.stack ?? why).replace(/^/gm, "# "));
  }
} catch (error) {
  console.log("Bail out! " + error.message + (error.stderr ?? ""));
  failed++;
} finally {
  await browser?.close();
  await daemonStop();
  rmSync(dir, {recursive: true, force: true});
}
process.exit(failed ? 1 : 0);
