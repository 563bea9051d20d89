// SPDX-License-Identifier: MPL-2.0
// A browser has six connections to a server, whatever its tabs are many: this worker holds the one
// stream of events, and tells all tabs of it.
const tabs = new Set();
let source = null, isLost = false;

function tell(what, data) {
  for (const tab of tabs) tab.postMessage({what, data});
}

function open() {
  source = new EventSource("/api/v1/stream");
  source.addEventListener("spinel", (message) => tell("news", message.data));
  source.addEventListener("open", () => { isLost = false; tell("open"); });
  source.addEventListener("error", () => { isLost = true; tell("lost"); });
}

self.onconnect = ({ports: [tab]}) => {
  tabs.add(tab);
  tab.onmessage = () => { tabs.delete(tab); if (!tabs.size) { source.close(); source = null; } };
  if (!source) open();
  else if (isLost) tab.postMessage({what: "lost"});
  else if (source.readyState === EventSource.OPEN) tab.postMessage({what: "open"});
};
