// What a station and its operator see of a running Lumela. The Go test beside this file starts it.
import assert from 'node:assert/strict';

const env = (name) => process.env[name] ?? assert.fail(`${name} is not set: run these tests by go test`);
const base = env('LUMELA_URL');
const key = env('LUMELA_KEY');
/** Base of the stations' URLs. */
export const socket = env('LUMELA_SOCKET');

const patience = 15_000; // ms
const pollEvery = 20; // ms

/** api sends a request, demands a status and gives the body. */
export async function api(method, path, body, status = 200) {
	const resp = await fetch(base + path, {
		method,
		headers: { Authorization: `Bearer ${key}`, 'Content-Type': 'application/json' },
		body: body === undefined ? undefined : JSON.stringify(body),
		signal: AbortSignal.timeout(40_000),
	});
	const text = await resp.text();
	assert.equal(resp.status, status, `${method} ${path} ${JSON.stringify(body)}: ${text}`);
	return text === '' ? undefined : JSON.parse(text);
}

/** items reads a list that fits into one page. */
export async function items(path) {
	const page = await api('GET', path);
	assert.ok(!page.next, `${path} has more than one page`);
	return page.items;
}

/**
 * command sends an OCPP 2.1 request, demands exactly this OCPP 2.1 response and that the command is recorded so. It
 * gives the kinds of what was emulated or lost.
 */
export async function command(station, action, payload, response) {
	const sent = await api('POST', `/stations/${station}/commands/${action}?wait=20s`, payload);
	assert.equal(sent.status, 'ok', action);
	assert.deepEqual(sent.response, response, action);
	const kept = await api('GET', `/commands/${sent.id}`);
	assert.deepEqual({ action: kept.action, status: kept.status, request: kept.request, response: kept.response },
		{ action, status: 'ok', request: payload, response });
	assert.ok(kept.finishedAt);
	return sent.translation;
}

/** eventually asks again and again until check does not throw. */
export async function eventually(ask, check) {
	for (const late = Date.now() + patience; ; ) {
		const seen = await ask();
		try {
			return check(seen) ?? seen;
		} catch (err) {
			if (Date.now() > late) throw err;
		}
		await new Promise((resolve) => setTimeout(resolve, pollEvery));
	}
}

/** onlySession demands that a station has one session, with at least these fields and no flags. */
/** Waits until the node has asked the station for its device model, which it does a moment after the boot. */
export const settled = (station) =>
	eventually(
		() => items(`/stations/${station}/commands`),
		(list) => assert.ok(list.some((c) => c.action === 'GetBaseReport' && c.status !== 'sent')),
	);

export async function onlySession(station, want) {
	const list = await items(`/sessions?station=${station}`);
	assert.equal(list.length, 1);
	const [got] = list;
	assert.deepEqual(Object.fromEntries(Object.keys(want).map((k) => [k, got[k]])), want);
	assert.deepEqual(got.flags, []);
	return got;
}

/** connectorOf is the first connector of a station. */
export const connectorOf = async (station) => (await api('GET', `/stations/${station}`)).evses?.[0]?.connectors?.[0];

/** framesOf demands that the frame log has this many calls of an action in a direction, all answered by results. */
export const framesOf = (station, action, direction, calls) =>
	eventually(() => items(`/stations/${station}/frames?limit=500&action=${action}`), (frames) => {
		const [asked, answered] = ['CALL', 'CALLRESULT'].map((type) => frames.filter((f) => f.type === type));
		assert.equal(asked.length, calls, action);
		assert.ok(asked.every((f) => f.direction === direction));
		assert.deepEqual(answered.map((f) => f.messageId).sort(), asked.map((f) => f.messageId).sort());
		assert.equal(frames.length, 2 * calls);
	});

/** ago is a time in the past in the form of OCPP, with milliseconds as many stations send them. */
export const ago = (seconds) => new Date(Math.floor(Date.now() / 1000) * 1000 - seconds * 1000).toISOString();

/** shown is a time as the API shows it. */
export const shown = (iso) => iso.replace('.000Z', 'Z');
