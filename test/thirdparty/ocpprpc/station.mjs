// A station of ocpp-rpc in strict mode: the library checks every frame of Lumela against the schemas that it brings,
// and what it complains of fails the test.
import assert from 'node:assert/strict';
import { RPCClient } from 'ocpp-rpc';
import { socket } from './lumela.mjs';

let names = 0;
/** fresh makes a name that no other test has, short enough for an idTag of 1.6. */
export const fresh = (prefix) => `${prefix}-${++names}`;

export class Station {
	/** What the library complained of. */
	faults = [];
	/** What Lumela asked, as {method, params}. */
	asked = [];
	/** What is answered to a method: a value, or a function of the params. */
	answers = {};

	/** open connects a station that has not booted. */
	static async open(t, protocol, id, password) {
		const s = new Station();
		s.id = id;
		s.protocol = protocol;
		s.client = new RPCClient({
			endpoint: socket,
			identity: id,
			password,
			protocols: [protocol],
			strictMode: true,
			reconnect: false,
			callTimeoutMs: 10_000,
		});
		s.client.on('strictValidationFailure', ({ method, params, result, error, outbound, isCall }) =>
			s.faults.push({ strict: error.message, details: error.details?.errors, method, outbound, isCall, frame: isCall ? params : result }));
		s.client.on('badMessage', ({ buffer, error }) => s.faults.push({ bad: error.message, frame: buffer.toString() }));
		s.client.on('callError', ({ method, params, error }) => s.faults.push({ error: error.message, method, params }));
		s.client.handle(({ method, params }) => {
			s.asked.push({ method, params });
			const answer = s.answers[method];
			if (answer === undefined) throw new Error(`the test has no answer to ${method}`);
			return typeof answer === 'function' ? answer(params) : answer;
		});
		t.after(() => s.client.close());
		await s.client.connect();
		return s;
	}

	call(method, params) {
		return this.client.call(method, params);
	}

	/** last is the params of the latest request of a method. */
	last(method) {
		return this.asked.findLast((a) => a.method === method)?.params;
	}

	/** unblemished demands that the library had nothing to complain of, and that frames were checked at all. */
	unblemished() {
		assert.deepEqual(this.faults, []);
		assert.ok(this.client._strictProtocols.includes(this.client.protocol), 'the library checked nothing');
	}
}
