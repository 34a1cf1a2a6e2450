// An SMSC on the npm package `smpp`: takes orders on stdin and tells what it saw on stdout, one JSON per line.
//
//   node smsc.js [key and certificate, PEM]
//
// Orders: {"status": 11} answers the next messages so, null not at all; {"with_receipt": {…}} sends a deliver_sm
// right behind each answer; {"deliver": {…}} sends one to every session now; {"do": "enquire_link" | "unbind" |
// "query_sm"} makes that request; {"drop": true} cuts all connections, and {"reset": true} forgets all else too.
const fs = require("fs");
const readline = require("readline");
const smpp = require("smpp");

const login = { system_id: "acme", password: "s3cret" };
delete smpp.commands.submit_sm.params.validity_period.filter; // else it becomes a Date

const tell = (fact) => process.stdout.write(JSON.stringify(fact) + "\n");
const pem = process.argv[2] && fs.readFileSync(process.argv[2]);
let status = 0;
let behind = null;
let messages = 0;

const serve = (session) => {
  session.on("bind_transceiver", (pdu) => {
    const right = pdu.system_id === login.system_id && pdu.password === login.password;
    const command_status = right ? 0 : smpp.ESME_RINVPASWD;
    session.send(pdu.response({ command_status, system_id: "smsc" }));
    tell({ bound: right, version: pdu.interface_version, system_type: pdu.system_type });
  });
  session.on("submit_sm", (pdu) => {
    const { message, udh } = pdu.short_message;
    tell({ submit: { ...pdu, short_message: message, udh: (udh || []).map((each) => each.toString("hex")) } });
    if (status === null) return;
    const id = `ID${(++messages).toString(16).padStart(4, "0")}`;
    session.send(pdu.response({ command_status: status, message_id: id }));
    if (behind) session.deliver_sm(behind);
  });
  session.on("deliver_sm_resp", (pdu) => tell({ took: pdu.command_status }));
  session.on("enquire_link", (pdu) => {
    session.send(pdu.response());
    tell({ asked: true });
  });
  session.on("enquire_link_resp", () => tell({ alive: true }));
  session.on("generic_nack", (pdu) => tell({ nack: pdu.command_status }));
  session.on("unbind", (pdu) => {
    session.send(pdu.response());
    tell({ unbound: true });
  });
  session.on("close", () => tell({ closed: true }));
  session.on("error", () => {});
};

const server = smpp.createServer(pem ? { key: pem, cert: pem } : {}, serve);
server.listen(0, "127.0.0.1", () => tell({ listening: server.address().port }));

const obey = (order) => {
  if (order.reset) [status, behind, messages] = [0, null, 0];
  if ("status" in order) status = order.status;
  if ("with_receipt" in order) behind = order.with_receipt;
  for (const session of [...server.sessions]) {
    if (order.deliver) session.deliver_sm(order.deliver);
    if (order.do) session[order.do]({});
    if (order.drop || order.reset) session.destroy();
  }
  const done = () => (order.reset && server.sessions.length ? setImmediate(done) : tell({ done: true }));
  done();
};

readline
  .createInterface({ input: process.stdin })
  .on("line", (line) => obey(JSON.parse(line)))
  .on("close", () => process.exit());
