import { readFile } from "node:fs/promises";
import { expect, it } from "vitest";
import { recogniseLicences } from "../../../workflows/dependency-audit/licence-text.js";
import { mitText } from "./project-on-disk.js";

const iscGrant =
  "Permission to use, copy, modify, and/or distribute this software for any purpose with or without fee is hereby granted";
const bsdGrant = `Redistribution and use in source and binary forms, with or without
modification, are permitted provided that the following conditions are met:
1. Redistributions of source code must retain the above copyright notice.
2. Redistributions in binary form must reproduce the above copyright notice.`;

it.each([
  ["MIT", mitText],
  ["MIT-0", mitText.replace(/The above copyright notice[^.]*\./, "")],
  ["ISC", `${iscGrant}, provided that the above copyright notice appears.`],
  ["0BSD", `${iscGrant}.\nTHE SOFTWARE IS PROVIDED "AS IS"`],
  ["BSD-2-Clause", bsdGrant],
  ["BSD-3-Clause", `${bsdGrant}\n3. Neither the name of the copyright holder may be used`],
  ["BSD-4-Clause", `${bsdGrant}\n3. All advertising materials mentioning features\n4. Neither the name`],
  ["Apache-2.0", "Apache License\nVersion 2.0, January 2004\nhttp://www.apache.org/licenses/"],
  ["Apache-2.0", 'Licensed under the Apache License, Version 2.0 (the "License");'],
  ["MPL-2.0", "Mozilla Public License Version 2.0\n=====\n\n1. Definitions"],
  ["Unlicense", "This is free and unencumbered software released into the public domain."],
  ["CC0-1.0", "Creative Commons Legal Code\n\nCC0 1.0 Universal"],
  ["BlueOak-1.0.0", "# Blue Oak Model License\n\nVersion 1.0.0"],
  ["Python-2.0", "PYTHON SOFTWARE FOUNDATION LICENSE VERSION 2\n---\n\nBEOPEN.COM LICENSE AGREEMENT FOR PYTHON 2.0"],
  ["PSF-2.0", "PYTHON SOFTWARE FOUNDATION LICENSE VERSION 2\n"],
  ["GPL-2.0", "GNU GENERAL PUBLIC LICENSE\n   Version 2, June 1991"],
  ["GPL-3.0", "GNU GENERAL PUBLIC LICENSE\n   Version 3, 29 June 2007"],
  ["LGPL-2.1", "GNU LESSER GENERAL PUBLIC LICENSE\n  Version 2.1, February 1999 ... GNU General Public License"],
  [
    "LGPL-3.0",
    "GNU LESSER GENERAL PUBLIC LICENSE\n Version 3, 29 June 2007 ... version 3 of the GNU General Public License",
  ],
  ["AGPL-3.0", "GNU AFFERO GENERAL PUBLIC LICENSE\n Version 3, 19 November 2007"],
  ["GPL-3.0", "terms of the GNU General Public License as published by the Free Software Foundation, either version 3"],
  ["MIT", "Released under the MIT license."],
])("recognises %s", (id, text) => {
  expect(recogniseLicences(text)).toEqual([id]);
});

it("recognises a text inside comment signs and Markdown quotes", () => {
  expect(recogniseLicences(mitText.replace(/^/gm, " * "))).toEqual(["MIT"]);
  expect(recogniseLicences(mitText.replace(/^/gm, "> "))).toEqual(["MIT"]);
});

it("names several licences in the order of the file, each once", () => {
  expect(recogniseLicences(`${iscGrant}, provided that\n${mitText}\n${bsdGrant}\n${mitText}`)).toEqual([
    "ISC",
    "MIT",
    "BSD-2-Clause",
  ]);
});

it.each(["", "All rights reserved.", "You may not use this software.", "permit ".repeat(500)])(
  "recognises nothing in %j",
  (text) => {
    expect(recogniseLicences(text)).toEqual([]);
  },
);

it.each([
  ["lightningcss/LICENSE", ["MPL-2.0"]],
  ["tweetnacl/LICENSE", ["Unlicense"]],
  ["smol-toml/LICENSE", ["BSD-3-Clause"]],
  ["@nats-io/nats-core/LICENSE", ["Apache-2.0"]],
  ["picocolors/LICENSE", ["ISC"]],
])("recognises the published text of %s", async (path, expected) => {
  const text = await readFile(new URL(`../../../node_modules/${path}`, import.meta.url), "utf8");
  expect(recogniseLicences(text)).toEqual(expected);
});
