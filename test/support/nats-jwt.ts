/** Operator, account and user as JWTs (NATS ADR-14), made here and now: what `nsc` would have written. */
import { nkeys } from "@nats-io/transport-node";

export interface OperatorMode {
  /** For a server's configuration. */
  readonly config: string;
  /** A creds file for a new user of the one account. */
  newCreds(name: string): string;
  /** The same user as its two parts. */
  newUser(name: string): { readonly jwt: string; readonly seed: string };
}

const text = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);
const bytesOf = (value: string): Uint8Array => new TextEncoder().encode(value);

export function createOperator(): OperatorMode {
  const operator = nkeys.createOperator();
  const account = nkeys.createAccount();
  const operatorJwt = signedBy(operator, operator.getPublicKey(), "operator", { type: "operator", version: 2 });
  const limits = { subs: -1, conn: -1, leaf: -1, imports: -1, exports: -1, data: -1, payload: -1, wildcards: true };
  const accountJwt = signedBy(operator, account.getPublicKey(), "account", { limits, type: "account", version: 2 });

  const newUser: OperatorMode["newUser"] = (name) => {
    const user = nkeys.createUser();
    const claims = { pub: {}, sub: {}, subs: -1, data: -1, payload: -1, type: "user", version: 2 };
    return { jwt: signedBy(account, user.getPublicKey(), name, claims), seed: text(user.getSeed()) };
  };
  return {
    config: `operator: ${operatorJwt}\nresolver: MEMORY\nresolver_preload: { ${account.getPublicKey()}: ${accountJwt} }`,
    newUser,
    newCreds: (name) => {
      const { jwt, seed } = newUser(name);
      const block = (title: string, content: string): string =>
        `-----BEGIN ${title}-----\n${content}\n------END ${title}------\n\n`;
      return block("NATS USER JWT", jwt) + block("USER NKEY SEED", seed);
    },
  };
}

type Keys = ReturnType<typeof nkeys.createUser>;

function signedBy(issuer: Keys, subject: string, name: string, nats: object): string {
  const now = Math.floor(Date.now() / 1_000);
  const claims = { jti: `${name}-${now}`, iat: now, iss: issuer.getPublicKey(), name, sub: subject, nats };
  const signed = [{ typ: "JWT", alg: "ed25519-nkey" }, claims]
    .map((part) => Buffer.from(JSON.stringify(part)).toString("base64url"))
    .join(".");
  return `${signed}.${Buffer.from(issuer.sign(bytesOf(signed))).toString("base64url")}`;
}
