// Twilio's own count of segments: a JSON string on each line in, [encoding, units, segments] out.
const { createInterface } = require("node:readline");
const { SegmentedMessage } = require("sms-segments-calculator");

const BITS = { "GSM-7": 7, "UCS-2": 16 };

createInterface({ input: process.stdin }).on("line", (line) => {
  const { encodingName, messageSize, segmentsCount } = new SegmentedMessage(JSON.parse(line));
  console.log(JSON.stringify([encodingName, messageSize / BITS[encodingName], segmentsCount]));
});
