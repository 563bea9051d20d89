// SPDX-License-Identifier: MPL-2.0
// A rack worth looking at: three projects, some dozens of machines, networks with rules and ways in.

const doc = (kind, project, name, spec, metadata = {}) => JSON.stringify(
  {apiVersion: "spinel/v1", kind, metadata: {name, ...(project ? {project} : {}), ...metadata}, spec});

export function scene(machines = 12) {
  const docs = [];
  for (const [p, project] of ["shop", "lab", "mail"].entries()) {
    docs.push(doc("Project", null, project, {description: `The ${project} of the company`}));
    docs.push(doc("VPC", project, "main", {prefixes: [`10.${20 + p}.0.0/16`], nat: project !== "lab"}));
    for (const [s, subnet] of ["web", "data"].entries())
      docs.push(doc("Subnet", project, subnet, {vpc: "main", cidr: `10.${20 + p}.${4 * s}.0/22`}));
    docs.push(doc("Firewall", project, "main", {vpc: "main", rules: [
      {name: "web", targets: [{label: "role=web"}], protocols: [{protocol: "tcp", ports: ["80", "443"]}]},
      {name: "db", targets: [{label: "role=db"}], hosts: [{label: "role=web"}], protocols: [{protocol: "tcp", ports: ["5432"]}]},
      {name: "ping", protocols: [{protocol: "icmp", icmpTypes: ["echo-request"]}]},
      {name: "no-telnet", action: "deny", priority: 10, protocols: [{protocol: "tcp", ports: ["23"]}]}]}));
    for (let i = 1; i <= machines; i++) {
      const isWeb = i <= machines * 2 / 3, role = isWeb ? "web" : "db", name = `${role}-${isWeb ? i : i - Math.floor(machines * 2 / 3)}`;
      docs.push(doc("Volume", project, `${name}-data`, {size: isWeb ? "8GiB" : "64GiB"}));
      docs.push(doc("Instance", project, name, {cpus: isWeb ? 2 : 4, memory: isWeb ? "2GiB" : "8GiB", maxMemory: "16GiB",
        disks: [{name: "data", volume: `${name}-data`}], nics: [{name: "eth0", subnet: isWeb ? "web" : "data"}]}, {labels: {role}}));
    }
    docs.push(doc("PortForward", project, "https", {vpc: "main", protocol: "tcp", port: 8443 + p, instance: "web-1", targetPort: 443}));
    docs.push(doc("PortForward", project, "http", {vpc: "main", protocol: "tcp", port: 8080 + p, instance: "web-2", targetPort: 80}));
  }
  return docs.map((d) => "---\n" + d).join("\n") + "\n";
}
