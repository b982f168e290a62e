/**
 * Certificates for tests, made here and now: no key lies in the repository, none expires, and no tool besides Node is
 * needed. X.509 (RFC 5280) in DER, as little of it as TLS asks for, signed with ECDSA on P-256.
 */
import { generateKeyPairSync, type KeyObject, randomBytes, sign } from "node:crypto";

export interface Certificate {
  readonly certificatePem: string;
  readonly keyPem: string;
}

export interface CertificateAuthority extends Certificate {
  /** A certificate for a server at localhost, or for a client. */
  issue(commonName: string): Certificate;
}

export function createAuthority(commonName: string): CertificateAuthority {
  const own = newKeys();
  const certificate = certify({
    commonName,
    issuer: commonName,
    signedWith: own.privateKey,
    of: own,
    extensions: [isAuthority],
  });
  return {
    ...pemOf(certificate, own),
    issue: (name) => {
      const keys = newKeys();
      const issued = {
        commonName: name,
        issuer: commonName,
        signedWith: own.privateKey,
        of: keys,
        extensions: [isLocalhost],
      };
      return pemOf(certify(issued), keys);
    },
  };
}

interface Keys {
  readonly publicKey: KeyObject;
  readonly privateKey: KeyObject;
}

const newKeys = (): Keys => generateKeyPairSync("ec", { namedCurve: "P-256" });

interface ToCertify {
  readonly commonName: string;
  readonly issuer: string;
  readonly signedWith: KeyObject;
  readonly of: Keys;
  readonly extensions: readonly Buffer[];
}

function certify({ commonName, issuer, signedWith, of, extensions }: ToCertify): Buffer {
  const content = sequence(
    der(0xa0, integer(Buffer.from([2]))),
    integer(Buffer.concat([Buffer.from([1]), randomBytes(8)])),
    ecdsaWithSha256,
    nameOf(issuer),
    sequence(instant(-86_400_000), instant(86_400_000)),
    nameOf(commonName),
    of.publicKey.export({ type: "spki", format: "der" }),
    der(0xa3, sequence(...extensions)),
  );
  const signature = sign("sha256", content, signedWith);
  return sequence(content, ecdsaWithSha256, der(0x03, Buffer.concat([Buffer.from([0]), signature])));
}

function pemOf(certificate: Buffer, { privateKey }: Keys): Certificate {
  const lines = certificate.toString("base64").replaceAll(/(.{64})/g, "$1\n");
  return {
    certificatePem: `-----BEGIN CERTIFICATE-----\n${lines}\n-----END CERTIFICATE-----\n`,
    keyPem: privateKey.export({ type: "pkcs8", format: "pem" }).toString(),
  };
}

/** A tag, the length of what follows, and that. */
function der(tag: number, ...contents: readonly Buffer[]): Buffer {
  const content = Buffer.concat(contents);
  const { length } = content;
  const head =
    length < 0x80 ? [tag, length] : length < 0x100 ? [tag, 0x81, length] : [tag, 0x82, length >> 8, length & 0xff];
  return Buffer.concat([Buffer.from(head), content]);
}

function sequence(...contents: readonly Buffer[]): Buffer {
  return der(0x30, ...contents);
}

function integer(bytes: Buffer): Buffer {
  return der(0x02, bytes);
}

/** An object identifier in its encoded form, as its standard prints it. */
function identifier(hex: string): Buffer {
  return der(0x06, Buffer.from(hex, "hex"));
}

function nameOf(commonName: string): Buffer {
  return sequence(der(0x31, sequence(identifier("550403"), der(0x0c, Buffer.from(commonName)))));
}

function instant(fromNowMs: number): Buffer {
  const text = new Date(Date.now() + fromNowMs).toISOString().replaceAll(/[-:T]|\.\d+/g, "");
  return der(0x18, Buffer.from(text));
}

function extension(id: string, value: Buffer): Buffer {
  return sequence(identifier(id), der(0x04, value));
}

const ecdsaWithSha256 = sequence(identifier("2a8648ce3d040302"));
const isAuthority = extension("551d13", sequence(der(0x01, Buffer.from([0xff]))));
const isLocalhost = extension(
  "551d11",
  sequence(der(0x82, Buffer.from("localhost")), der(0x87, Buffer.from([127, 0, 0, 1]))),
);
