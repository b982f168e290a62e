/** The HTTP face over a real system: nats-server, an orchestrator and agents written by hand. */
import { type Client, connectClient } from "../../src/client/client.js";
import { type HttpServer, type HttpServerOptions, startHttpServer } from "../../src/http/server.js";
import { silentLogger } from "../../src/logger.js";
import { Engine } from "../wire/peers.js";
import { checkDocumented } from "./documented.js";

export type Json = Readonly<Record<string, unknown>>;

export interface HttpAnswer {
  readonly status: number;
  readonly headers: Headers;
  /** Of text where it is no JSON. */
  readonly body: Json;
  readonly text: string;
}

export interface AskInit {
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal;
}

export class HttpSystem implements AsyncDisposable {
  readonly engine: Engine;
  readonly client: Client;
  readonly server: HttpServer;

  private constructor(engine: Engine, client: Client, server: HttpServer) {
    this.engine = engine;
    this.client = client;
    this.server = server;
  }

  static async start(natsUrl: string, options: Partial<HttpServerOptions> = {}): Promise<HttpSystem> {
    const engine = await Engine.start(natsUrl);
    const client = await connectClient({ servers: natsUrl, namespace: engine.namespace });
    const server = await startHttpServer({
      port: 0,
      client: () => client,
      metrics: () => engine.orchestrator.metrics(),
      logger: silentLogger,
      ...options,
    });
    return new HttpSystem(engine, client, server);
  }

  get url(): string {
    return this.server.url;
  }

  /** Every answer must be one that docs/openapi.json promises. */
  async ask(method: string, path: string, { body, headers = {}, signal }: AskInit = {}): Promise<HttpAnswer> {
    const response = await fetch(this.url + path, {
      method,
      headers: body === undefined ? headers : { "content-type": "application/json", ...headers },
      ...(body === undefined ? {} : { body: typeof body === "string" ? body : JSON.stringify(body) }),
      ...(signal === undefined ? {} : { signal }),
    });
    const answer = await answerOf(response);
    checkDocumented(method, path, answer);
    return answer;
  }

  /** Of an answer without end, its beginning; then hangs up. */
  async begin(path: string, headers: Readonly<Record<string, string>>): Promise<HttpAnswer> {
    const hangUp = new AbortController();
    const response = await fetch(this.url + path, { headers, signal: hangUp.signal });
    const answer = response.ok
      ? { status: response.status, headers: response.headers, body: {}, text: "" }
      : await answerOf(response);
    checkDocumented("GET", path, answer);
    hangUp.abort();
    return answer;
  }

  get(path: string, init?: AskInit): Promise<HttpAnswer> {
    return this.ask("GET", path, init);
  }

  post(path: string, body?: unknown, init?: AskInit): Promise<HttpAnswer> {
    return this.ask("POST", path, { ...init, body });
  }

  async submitted(task: Json): Promise<string> {
    const { status, text, body } = await this.post("/v1/tasks", { task });
    if (status !== 202) throw new Error(`the submission was refused: ${text}`);
    return String(body["taskId"]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.server.close();
    await this.client.close();
    await this.engine[Symbol.asyncDispose]();
  }
}

async function answerOf(response: Response): Promise<HttpAnswer> {
  const text = await response.text();
  const isJson = response.headers.get("content-type") === "application/json";
  return {
    status: response.status,
    headers: response.headers,
    body: isJson && text !== "" ? (JSON.parse(text) as Json) : {},
    text,
  };
}

export const errorOf = ({ body }: HttpAnswer): Json => body["error"] as Json;
export const taskOf = ({ body }: HttpAnswer): Json => body["task"] as Json;
