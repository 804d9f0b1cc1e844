// nginx in front of brokers, each client always at the same one.

import { spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { until } from "../broker.js";

/** A port that nobody listens on. */
function freePort() {
  return new Promise((resolve) => {
    const server = createServer().listen(0, "127.0.0.1", () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });
}

const config = (port, upstreams) => `
daemon off;
master_process off;
pid nginx.pid;
error_log stderr;
events { worker_connections 512; }
http {
  access_log off;
  client_body_temp_path body;
  proxy_temp_path proxy;
  fastcgi_temp_path fastcgi;
  uwsgi_temp_path uwsgi;
  scgi_temp_path scgi;
  map $http_upgrade $connection_upgrade {
    default upgrade;
    "" "";
  }
  upstream brokers {
    hash $remote_addr consistent;
    ${upstreams.map((address) => `server ${address};`).join(" ")}
    keepalive 16;
  }
  server {
    listen 127.0.0.1:${port};
    client_max_body_size 2m;
    location / {
      proxy_pass http://brokers;
      proxy_http_version 1.1;
      proxy_set_header Host $host;
      proxy_set_header Upgrade $http_upgrade;
      proxy_set_header Connection $connection_upgrade;
      proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
      proxy_read_timeout 75s;
      proxy_buffering off;
    }
  }
}
`;

/** A running nginx. */
export class Nginx {
  #child;
  #directory = mkdtempSync(join(tmpdir(), "sampan-nginx-"));
  url;

  static async start(upstreams) {
    const nginx = new Nginx();
    const port = await freePort();
    const file = join(nginx.#directory, "nginx.conf");
    writeFileSync(file, config(port, upstreams));
    const env = { ...process.env, PATH: `${process.env.PATH}:/usr/sbin` };
    const args = ["-p", nginx.#directory, "-c", file, "-e", "stderr"];
    nginx.#child = spawn("nginx", args, { env, stdio: ["ignore", "ignore", "inherit"] });
    nginx.url = `http://127.0.0.1:${port}`;
    await until("nginx answers", () => fetch(`${nginx.url}/healthz`).then((r) => r.ok, () => false));
    return nginx;
  }

  async stop() {
    const ended = new Promise((resolve) => this.#child.once("exit", resolve));
    this.#child.kill("SIGKILL");
    await ended;
    rmSync(this.#directory, { recursive: true, force: true });
  }
}
