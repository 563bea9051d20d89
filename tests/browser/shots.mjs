// SPDX-License-Identifier: MPL-2.0
// Takes the pictures of docs/img: shots.mjs DIRECTORY. A rack in the sim, hurt in several ways.
import {chromium} from "playwright-core";
import {execFileSync, spawn} from "node:child_process";
import {appendFileSync, mkdtempSync, rmSync, writeFileSync} from "node:fs";
import {createServer} from "node:net";
import {tmpdir} from "node:os";
import path from "node:path";
import {scene} from "./scene.mjs";

const build = path.resolve(process.env.BUILD ?? "build"), spinel = path.join(build, "spinel"), to = path.resolve(process.argv[2]);
const dir = mkdtempSync(path.join(tmpdir(), "spinel-shots-")), site = path.join(dir, "rack-7/spinel.yaml");
const env = {...process.env, HOME: dir, SPINEL_SITE: site, GIT_CONFIG_GLOBAL: "/dev/null", GIT_AUTHOR_NAME: "Ada Byron", GIT_AUTHOR_EMAIL: "ada@example.org",
  GIT_COMMITTER_NAME: "Ada Byron", GIT_COMMITTER_EMAIL: "ada@example.org", SUDO_USER: "ada", PATH: build + ":" + process.env.PATH};
const run = (program, ...args) => execFileSync(program, args, {cwd: dir, env, encoding: "utf8", maxBuffer: 64 << 20, stdio: ["ignore", "pipe", "pipe"]});
const git = (...args) => run("git", "-C", "rack-7/manifests", ...args);
const push = (text, message) => { writeFileSync(path.join(dir, "rack-7/manifests/rack.yaml"), text); git("add", "-A"); git("commit", "-qm", message); try { git("push", "-q"); } catch (error) { console.error(String(error.stderr).slice(-400)); } };
const sleep = (ms) => new Promise((done) => setTimeout(done, ms));
const port = await new Promise((done) => { const s = createServer().listen(0, "127.0.0.1", () => { const p = s.address().port; s.close(() => done(p)); }); });
const origin = `http://127.0.0.1:${port}`, api = async (name) => (await fetch(`${origin}/api/v1/${name}`)).json();
const sim = (...args) => run(path.join(build, "drivers/sim"), "--world", "rack-7/state/drivers/sim/world", ...args);
const settled = async () => { for (let i = 0; i < 200 && !(await api("status")).converged; i++) await sleep(100); };
const uidOf = async (kind, project, name) => (await api(`resources?kind=${kind}&project=${project}&name=${name}`)).items[0].uid;

run(spinel, "init", "--drivers", "sim", "rack-7");
appendFileSync(site, `  web: {listen: "127.0.0.1:${port}"}\n`);
git("rm", "-rq", "--cached", ".");
rmSync(path.join(dir, "rack-7/manifests"), {recursive: true});
run("git", "clone", "-q", "rack-7/manifests.git", "rack-7/manifests");
const daemon = spawn(spinel, ["serve"], {cwd: dir, env, stdio: "ignore"}), ended = new Promise((done) => daemon.once("exit", done));
const browser = await chromium.launch({executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: ["--no-sandbox", "--disable-gpu"]});
try {
  for (let i = 0; i < 100; i++) { try { await fetch(origin); break; } catch { await sleep(100); } }
  git("checkout", "-qB", "main");
  push(scene(), "The first three projects");
  await settled();
  push(scene(14), "Two machines more for each");
  await settled();
  const flapping = await uidOf("Firewall", "shop", "main");
  for (let i = 0; i < 2; i++) { sim("delete", flapping); await sleep(2500); await settled(); }
  await sleep(20000);
  sim("set", await uidOf("Volume", "shop", "db-1-data"), "spec.size", String(96 * 2 ** 30));
  run(spinel, "freeze", "healing", "--why", "switch 3 is being replaced", "--until", "2h");
  await sleep(8000);
  sim("delete", await uidOf("NIC", "lab", "web-3.eth0"));
  sim("set", await uidOf("VPC", "mail", "main"), "spec.mtu", "1400");
  await sleep(12000);
  const page = await (await browser.newContext({viewport: {width: 1280, height: 860}})).newPage();
  const shoot = async (name, hash, before) => {
    await page.goto(`${origin}/#/${hash}`);
    await page.waitForSelector(`main[data-at="#/${hash.split("?")[0]}"] h1`);
    await before?.();
    await sleep(400);
    await page.screenshot({path: path.join(to, name + ".png")});
  };
  await shoot("viewer-drift", "drift?in=1 hour");
  await shoot("viewer-network", "network", () => page.locator("section", {hasText: "VPC shop/main"}).locator("a.node", {hasText: "allow web"}).hover());
  await shoot("viewer-trace", "trace/2");
  await shoot("viewer-resource", "resource/" + await uidOf("Volume", "shop", "db-1-data"));
  await page.emulateMedia({colorScheme: "dark"});
  await shoot("viewer-overview-dark", "");
  const phone = await (await browser.newContext({viewport: {width: 390, height: 844}, deviceScaleFactor: 2})).newPage();
  await phone.goto(origin);
  await phone.waitForSelector("tbody tr");
  await phone.screenshot({path: path.join(to, "viewer-phone.png")});
} finally {
  await browser.close();
  daemon.kill("SIGTERM");
  await ended;
  rmSync(dir, {recursive: true, force: true});
}
