// The features of test_clients.py, tried with npm's tedious: `node tedious_features.cjs '{"feature": …, "port": …, …}'`.
// Prints one JSON object: {} (it worked), {"absent": true} (tedious has no such thing) or {"message": text of the refusal}.
"use strict";

const assert = require("node:assert");
const fs = require("node:fs");
const { Connection, Request, TYPES } = require("tedious");

const given = JSON.parse(process.argv[2]);
const id = Math.random().toString(16).slice(2, 12);

function connect({ encrypt = false, ca, password = given.password, database = given.database, options = {} } = {}) {
  const connection = new Connection({
    server: ca ? "localhost" : "127.0.0.1",
    authentication: { type: "default", options: { userName: given.user, password } },
    options: {
      port: given.port,
      database,
      encrypt,
      trustServerCertificate: !ca,
      cryptoCredentialsDetails: ca ? { ca } : {},
      connectTimeout: 10000,
      requestTimeout: 20000,
      ...options,
    },
  });
  connection.on("error", () => {}); // a dropped connection; the request that waited for it reports it too
  return new Promise((resolve, reject) => connection.connect((error) => (error ? reject(error) : resolve(connection))));
}

// Runs a statement; answers its rows by result set, and its row count. Parameters: [name, type, value, options].
function run(connection, sql, parameters = [], started = () => {}) {
  return new Promise((resolve, reject) => {
    const sets = [];
    const request = new Request(sql, (error, count) => (error ? reject(error) : resolve({ sets, count })));
    request.on("columnMetadata", () => sets.push([]));
    request.on("row", (columns) => sets.at(-1).push(columns.map((column) => column.value)));
    for (const parameter of parameters) request.addParameter(...parameter);
    if (parameters.length) connection.execSql(request);
    else connection.execSqlBatch(request);
    started(request);
  });
}

const rows = async (connection, sql) => (await run(connection, sql)).sets[0];
const call = (connection, method) =>
  new Promise((resolve, reject) => connection[method]((error) => (error ? reject(error) : resolve())));

async function table(connection, columns) {
  await run(connection, `CREATE TABLE dbo.T${id} (${columns})`);
  return `T${id}`;
}

async function connects(encrypt, ca) {
  const connection = await connect({ encrypt, ca });
  assert.deepStrictEqual(await rows(connection, "SELECT N'sentinel' AS word"), [["sentinel"]]);
}

async function verifies(encrypt) {
  await assert.rejects(connect({ encrypt, ca: fs.readFileSync(given.other_certificate) }), /certificate/);
  await connects(encrypt, fs.readFileSync(given.certificate));
}

const features = {
  connect_plain: () => connects(false),
  connect_tls: () => connects(true),
  connect_mandatory: () => verifies(true),
  connect_strict: () => verifies("strict"),

  async login_refused() {
    await assert.rejects(connect({ password: "wrong" }), /Login failed for user 'sa'/);
  },

  async database_refused() {
    await assert.rejects(connect({ database: "nosuch" }), /Cannot open database|Login failed for user 'sa'/);
  },

  async autocommit_on() {
    const [one, two] = [await connect(), await connect()];
    const name = await table(one, "Id int");
    await run(one, `INSERT INTO ${name} VALUES (1)`);
    assert.deepStrictEqual(await rows(two, `SELECT Id FROM ${name}`), [[1]]);
  },

  async autocommit_off() {
    const [one, two] = [await connect(), await connect()];
    const name = await table(one, "Id int");
    await call(one, "beginTransaction");
    await run(one, `INSERT INTO ${name} VALUES (1)`);
    assert.deepStrictEqual(await rows(two, `SELECT Id FROM ${name}`), []);
    await call(one, "commitTransaction");
    assert.deepStrictEqual(await rows(two, `SELECT Id FROM ${name}`), [[1]]);
  },

  async rollback() {
    const one = await connect();
    const name = await table(one, "Id int");
    await call(one, "beginTransaction");
    await run(one, `INSERT INTO ${name} VALUES (1)`);
    await call(one, "rollbackTransaction");
    assert.deepStrictEqual(await rows(one, `SELECT Id FROM ${name}`), []);
  },

  async parameters() {
    const one = await connect();
    const name = await table(one, "Id int, I bigint, F float, N nvarchar(20), D decimal(9, 2), B bit, Bi varbinary(8), W datetime2(3)");
    const types = [
      ["id", TYPES.Int], ["i", TYPES.BigInt], ["f", TYPES.Float], ["n", TYPES.NVarChar],
      ["d", TYPES.Decimal, { precision: 9, scale: 2 }], ["b", TYPES.Bit], ["bi", TYPES.VarBinary], ["w", TYPES.DateTime2, { scale: 3 }],
    ];
    const insert = `INSERT INTO ${name} VALUES (${types.map(([parameter]) => "@" + parameter).join(", ")})`;
    const instant = new Date("2026-01-02T03:04:05.678Z");
    const full = [1, "1099511627776", 1.5, "text", 12.34, true, Buffer.from([0, 1, 255]), instant];
    await run(one, insert, types.map(([parameter, type, options], at) => [parameter, type, full[at], options]));
    const nulls = [2, null, null, null, null, null, null, null];
    await run(one, insert, types.map(([parameter, type, options], at) => [parameter, type, nulls[at], options]));
    const got = await rows(one, `SELECT * FROM ${name} ORDER BY Id`);
    assert.deepStrictEqual([...got[0].slice(0, 7), got[0][7].getTime()], [...full.slice(0, 7), instant.getTime()]);
    assert.deepStrictEqual(got[1], nulls);
  },

  async decimals() {
    const one = await connect(); // tedious gives and takes decimals as floating-point numbers; as texts they are exact
    const name = await table(one, "D decimal(38, 10), N decimal(38, 0)");
    const values = ["-1234567890123456789012345678.0123456789", "9".repeat(38)];
    await run(one, `INSERT INTO ${name} VALUES (@d, @n)`, [["d", TYPES.VarChar, values[0]], ["n", TYPES.VarChar, values[1]]]);
    assert.deepStrictEqual(await rows(one, `SELECT CONVERT(varchar(60), D), CONVERT(varchar(60), N) FROM ${name}`), [values]);
  },

  async datetime2() {
    const one = await connect();
    const name = await table(one, "W datetime2(7)");
    const instant = new Date("2026-01-02T03:04:05.123Z");
    instant.nanosecondDelta = 0.0004567; // seconds
    await run(one, `INSERT INTO ${name} VALUES (@w)`, [["w", TYPES.DateTime2, instant, { scale: 7 }]]);
    const [[shown, value]] = await rows(one, `SELECT CONVERT(nvarchar(40), W, 126), W FROM ${name}`);
    assert.deepStrictEqual([shown, value.getTime()], ["2026-01-02T03:04:05.1234567", instant.getTime()]);
    assert.ok(Math.abs(value.nanosecondsDelta - 0.0004567) < 1e-9);
  },

  async unicode() {
    const one = await connect();
    const name = await table(one, "N nvarchar(20), X nvarchar(max)");
    const values = ["Zoë 漢字 😀", "é😀".repeat(5000)];
    await run(one, `INSERT INTO ${name} VALUES (@n, @x)`, [["n", TYPES.NVarChar, values[0]], ["x", TYPES.NVarChar, values[1]]]);
    assert.deepStrictEqual(await rows(one, `SELECT N, X FROM ${name}`), [values]);
  },

  async result_sets() {
    const { sets } = await run(await connect(), "SELECT 1 AS a; SELECT 2 AS b, 3 AS c; SELECT 4 AS d WHERE 1 = 0");
    assert.deepStrictEqual(sets, [[[1]], [[2, 3]], []]);
  },

  async row_counts() {
    const one = await connect();
    const name = await table(one, "Id int");
    assert.strictEqual((await run(one, `INSERT INTO ${name} VALUES (1), (2), (3)`)).count, 3);
    const parameters = [["a", TYPES.Int, 10], ["b", TYPES.Int, 1]];
    assert.strictEqual((await run(one, `UPDATE ${name} SET Id = Id + @a WHERE Id > @b`, parameters)).count, 2);
    assert.strictEqual((await run(one, `DELETE FROM ${name} WHERE Id = 99`)).count, 0);
  },

  async error_number() {
    const one = await connect();
    const name = await table(one, "Id int PRIMARY KEY");
    await run(one, `INSERT INTO ${name} VALUES (1)`);
    await assert.rejects(run(one, `INSERT INTO ${name} VALUES (1)`), { number: 2627, class: 14, state: 1 });
  },

  async severity_and_state() {
    await assert.rejects(run(await connect(), "RAISERROR (N'mine', 15, 7)"), { class: 15, state: 7, message: "mine" });
  },

  async pooled_reset() {
    const [one, other] = [await connect(), await connect()];
    const name = await table(other, "Id int");
    await run(one, "SET XACT_ABORT ON; SET LOCK_TIMEOUT 5; CREATE TABLE #left (Id int)");
    await run(one, "EXEC sp_getapplock 'left', 'Exclusive', 'Session'");
    await run(one, `BEGIN TRANSACTION; INSERT INTO ${name} VALUES (1)`);
    const left =
      "SELECT @@SPID, OBJECT_ID(N'tempdb..#left'), @@TRANCOUNT, @@LOCK_TIMEOUT, @@OPTIONS & 16384, APPLOCK_MODE('public', 'left', 'Session')";
    const [[spid, temporary, ...used]] = await rows(one, left);
    assert.ok(temporary !== null);
    assert.deepStrictEqual(used, [1, 5, 16384, "Exclusive"]);
    await call(one, "reset");
    assert.deepStrictEqual(await rows(one, left), [[spid, null, 0, -1, 0, "NoLock"]]);
    await run(other, `SET LOCK_TIMEOUT 2000; INSERT INTO ${name} VALUES (2)`);
    assert.deepStrictEqual(await rows(one, `SELECT Id FROM ${name}`), [[2]]);
  },

  async timeout() {
    const one = await connect({ options: { requestTimeout: 1000 } });
    await assert.rejects(run(one, "WAITFOR DELAY '00:00:20'"), { code: "ETIMEOUT" });
    assert.deepStrictEqual(await rows(one, "SELECT 1 AS a"), [[1]]);
  },

  async cancel() {
    const one = await connect();
    const waiting = run(one, `WAITFOR DELAY '00:00:20' -- ${id}`);
    waiting.catch(() => {});
    while (!(await (await fetch(`${given.control}/stats`)).text()).includes(id)) await new Promise((done) => setTimeout(done, 20));
    one.cancel();
    await assert.rejects(waiting, { code: "ECANCEL" });
    assert.deepStrictEqual(await rows(one, "SELECT 1 AS a"), [[1]]);
  },

  async reconnect() {
    const one = await connect();
    const name = await table(one, "Id int");
    const fault = { action: "drop_after", pattern: id + " drop", times: 1 };
    await fetch(`${given.control}/faults`, { method: "POST", body: JSON.stringify(fault) });
    await assert.rejects(run(one, `INSERT INTO ${name} VALUES (1) -- ${id} drop`));
    assert.deepStrictEqual(await rows(await connect(), `SELECT Id FROM ${name}`), [[1]]);
  },

  async bulk_load() {
    const one = await connect();
    const name = await table(one, "Id int");
    const load = () =>
      new Promise((resolve, reject) => {
        const bulk = one.newBulkLoad(name, (error) => (error ? reject(error) : resolve()));
        bulk.addColumn("Id", TYPES.Int, { nullable: true });
        one.execBulkLoad(bulk, [{ Id: 1 }]);
      });
    return refusal(load());
  },

  async table_valued() {
    const rowsOf = { columns: [{ name: "Id", type: TYPES.Int }], rows: [[1]], name: "Numbers", schema: "dbo" };
    return refusal(run(await connect(), "SELECT * FROM @rows", [["rows", TYPES.TVP, rowsOf]]));
  },
};

async function refusal(promise) {
  try {
    await promise;
  } catch (error) {
    return error.message;
  }
  throw new Error("it was not refused");
}

async function main() {
  const feature = features[given.feature];
  console.log(JSON.stringify(feature ? { message: await feature() } : { absent: true }));
}

main().then(
  () => process.exit(0),
  (error) => {
    console.error(error);
    process.exit(1);
  },
);
