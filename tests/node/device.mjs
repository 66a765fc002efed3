// One device on MQTT.js: reports, answers one command, and ends. The job comes as JSON in the first argument.
import { readFileSync } from 'node:fs'
import mqtt from 'mqtt'

const job = JSON.parse(process.argv[2])
const client = mqtt.connect(job.url, {
  protocolVersion: job.version,
  protocolId: job.version === 3 ? 'MQIsdp' : 'MQTT',
  clientId: job.client_id,
  username: job.username,
  password: job.password,
  clean: true,
  keepalive: 60,
  reconnectPeriod: 0,
  ca: readFileSync(job.ca),
  connectTimeout: 10_000,
})

function give_up(error) {
  console.error(error)
  process.exit(1)
}

client.on('error', give_up)
setTimeout(() => give_up('no command within 30 s'), 30_000).unref()

client.on('connect', () => {
  client.publish(`$oc/devices/${job.device_id}/sys/properties/report`, JSON.stringify(job.report), { qos: 1 }, (error) => {
    if (error) give_up(error)
    console.log('reported')
  })
})

client.on('message', (topic) => {
  const request = topic.split('request_id=')[1]
  const answer_topic = `$oc/devices/${job.device_id}/sys/commands/response/request_id=${request}`
  client.publish(answer_topic, JSON.stringify(job.answer), { qos: 1 }, (error) => {
    if (error) give_up(error)
    client.end(false, () => process.exit(0))
  })
})
