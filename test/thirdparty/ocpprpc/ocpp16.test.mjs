import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { ago, api, command, connectorOf, eventually, framesOf, items, onlySession, shown, settled } from './lumela.mjs';
import { Station, fresh } from './station.mjs';

const config = () => [
	{ key: 'HeartbeatInterval', readonly: false, value: '300' },
	{ key: 'MeterValueSampleInterval', readonly: false, value: '60' },
	{ key: 'NumberOfConnectors', readonly: true, value: '1' },
	{ key: 'SupportedFeatureProfiles', readonly: true, value: 'Core,FirmwareManagement,LocalAuthListManagement,Reservation,RemoteTrigger,SmartCharging' },
];

/** boot opens a station that has booted and reported its connector. */
async function boot(t, name, password) {
	const s = await Station.open(t, 'ocpp1.6', name, password);
	const keys = config();
	s.answers.GetConfiguration = ({ key }) => ({
		configurationKey: keys.filter((k) => !key?.length || key.includes(k.key)),
		unknownKey: (key ?? []).filter((k) => !keys.some((c) => c.key === k)),
	});
	s.answers.ChangeConfiguration = ({ key, value }) => {
		keys.find((k) => k.key === key).value = value;
		return { status: 'Accepted' };
	};
	const booted = await s.call('BootNotification', { chargePointVendor: 'Volta', chargePointModel: 'Node 16', firmwareVersion: '16.0', chargePointSerialNumber: 'V-16' });
	assert.equal(booted.status, 'Accepted');
	assert.equal(booted.interval, 300);
	assert.ok(Math.abs(Date.parse(booted.currentTime) - Date.now()) < 30_000, booted.currentTime);
	await s.call('StatusNotification', { connectorId: 0, errorCode: 'NoError', status: 'Available' });
	await s.call('StatusNotification', { connectorId: 1, errorCode: 'NoError', status: 'Available', timestamp: ago(700) });
	await settled(s.id);
	return s;
}

const energy = (timestamp, wh, w, context = 'Sample.Periodic') => ({
	timestamp,
	sampledValue: [
		{ value: wh, context, measurand: 'Energy.Active.Import.Register', unit: 'Wh' },
		{ value: w, context, measurand: 'Power.Active.Import', unit: 'W' },
		{ value: '230.1', context, measurand: 'Voltage', phase: 'L1-N', unit: 'V' },
	],
});

describe('a charge point of ocpp-rpc in strict mode', { concurrency: true }, () => {
	test('boots, authorises and charges', async (t) => {
		const s = await boot(t, fresh('RPC16-CHARGE'));
		const uid = fresh('04RPC16');
		await api('POST', '/tokens', { uid }, 201);
		assert.deepEqual(await s.call('Authorize', { idTag: uid }), { idTagInfo: { status: 'Accepted' } });
		assert.deepEqual(await s.call('Authorize', { idTag: 'nobody' }), { idTagInfo: { status: 'Invalid' } });

		const [begin, reading, end] = [ago(600), ago(540), ago(60)];
		const started = await s.call('StartTransaction', { connectorId: 1, idTag: uid, meterStart: 1000, timestamp: begin });
		assert.equal(started.idTagInfo.status, 'Accepted');
		const { transactionId } = started;
		await s.call('StatusNotification', { connectorId: 1, errorCode: 'NoError', status: 'Charging', timestamp: begin });
		await s.call('MeterValues', { connectorId: 1, transactionId, meterValue: [energy(reading, '1500.4', '7200')] });
		const running = { transactionId: String(transactionId), evse: 1, connector: 1, token: uid, state: 'active', chargingState: 'Charging',
			startedAt: shown(begin), endedAt: null, energyWh: 500, powerW: 7200, meterStartWh: 1000 };
		const session = await onlySession(s.id, running);
		await eventually(() => connectorOf(s.id), (c) => assert.deepEqual([c.status, c.detail], ['Occupied', 'Charging']));

		assert.deepEqual(await s.call('StopTransaction', { transactionId, idTag: uid, meterStop: 8342, timestamp: end, reason: 'Local',
			transactionData: [energy(end, '8342', '0', 'Transaction.End')] }), { idTagInfo: { status: 'Accepted' } });
		await s.call('StatusNotification', { connectorId: 1, errorCode: 'NoError', status: 'Available', timestamp: end });
		await onlySession(s.id, { ...running, state: 'ended', chargingState: '', endedAt: shown(end), energyWh: 7342, powerW: 0, stoppedReason: 'Local', meterStopWh: 8342 });
		await eventually(() => connectorOf(s.id), (c) => assert.deepEqual([c.status, c.detail], ['Available', '']));

		const values = await items(`/sessions/${session.id}/meter-values`);
		const voltage = values.find((v) => v.at === shown(reading)).samples.find((v) => v.measurand === 'Voltage');
		assert.deepEqual([voltage.value, voltage.phase, voltage.unit], ['230.1', 'L1-N', 'V']);
		const station = await api('GET', `/stations/${s.id}`);
		assert.deepEqual([station.vendor, station.model, station.firmware, station.serialNumber, station.protocol, station.online], ['Volta', 'Node 16', '16.0', 'V-16', '1.6', true]);
		for (const [action, calls] of [['BootNotification', 1], ['Authorize', 2], ['StartTransaction', 1], ['MeterValues', 1], ['StopTransaction', 1]]) {
			await framesOf(s.id, action, 'in', calls);
		}
		s.unblemished();
	});

	test('charges from afar', async (t) => {
		const s = await boot(t, fresh('RPC16-REMOTE'));
		const uid = fresh('REMOTE16');
		await api('POST', '/tokens', { uid }, 201);
		Object.assign(s.answers, { RemoteStartTransaction: { status: 'Accepted' }, RemoteStopTransaction: { status: 'Accepted' } });
		await command(s.id, 'RequestStartTransaction', { remoteStartId: 9, evseId: 1, idToken: { idToken: uid, type: 'Central' } }, { status: 'Accepted' });
		assert.deepEqual(s.last('RemoteStartTransaction'), { connectorId: 1, idTag: uid });
		const { transactionId } = await s.call('StartTransaction', { connectorId: 1, idTag: uid, meterStart: 0, timestamp: ago(300) });
		await s.call('MeterValues', { connectorId: 1, transactionId, meterValue: [energy(ago(200), '250', '11000')] });
		const session = await onlySession(s.id, { state: 'active', remoteStartId: 9, energyWh: 250, powerW: 11000 });
		await api('POST', `/sessions/${session.id}/stop`);
		assert.deepEqual(s.last('RemoteStopTransaction'), { transactionId });
		await s.call('StopTransaction', { transactionId, meterStop: 567, timestamp: ago(100), reason: 'Remote' });
		await onlySession(s.id, { state: 'ended', remoteStartId: 9, energyWh: 567, powerW: 0, stoppedReason: 'Remote', token: uid });
		s.unblemished();
	});

	test('shows and takes settings', async (t) => {
		const s = await boot(t, fresh('RPC16-VARS'));
		const heartbeat = { component: { name: 'OCPPCommCtrlr' }, variable: { name: 'HeartbeatInterval' } };
		await command(s.id, 'GetVariables', { getVariableData: [heartbeat] }, { getVariableResult: [{ attributeStatus: 'Accepted', attributeValue: '300', ...heartbeat }] });
		assert.deepEqual(s.last('GetConfiguration'), { key: ['HeartbeatInterval'] });
		await command(s.id, 'SetVariables', { setVariableData: [{ attributeValue: '120', ...heartbeat }] }, { setVariableResult: [{ attributeStatus: 'Accepted', ...heartbeat }] });
		assert.deepEqual(s.last('ChangeConfiguration'), { key: 'HeartbeatInterval', value: '120' });
		await command(s.id, 'GetBaseReport', { requestId: 3, reportBase: 'FullInventory' }, { status: 'Accepted' });
		await eventually(() => items(`/stations/${s.id}/variables`), (vars) => {
			assert.equal(vars.find((v) => v.variable === 'HeartbeatInterval')?.value, '120');
			assert.equal(vars.find((v) => v.component === 'SampledDataCtrlr' && v.variable === 'TxUpdatedInterval')?.value, '60');
		});
		s.unblemished();
	});

	test('answers commands', async (t) => {
		const s = await boot(t, fresh('RPC16-CMDS'));
		const accepted = { status: 'Accepted' };
		const expiry = shown(ago(-3600));
		const periods = [{ startPeriod: 0, limit: 16, numberPhases: 3 }, { startPeriod: 600, limit: 10.5 }];
		const profile = { stackLevel: 2, chargingProfilePurpose: 'TxDefaultProfile', chargingProfileKind: 'Recurring', recurrencyKind: 'Daily' };
		const schedule = { duration: 3600, startSchedule: '2030-01-02T03:04:05Z', chargingRateUnit: 'A', chargingSchedulePeriod: periods };
		for (const [action, payload, response, method, params, answer] of [
			['Reset', { type: 'Immediate' }, accepted, 'Reset', { type: 'Hard' }, accepted],
			['Reset', { type: 'OnIdle' }, accepted, 'Reset', { type: 'Soft' }, accepted],
			['TriggerMessage', { requestedMessage: 'StatusNotification', evse: { id: 1, connectorId: 1 } }, accepted, 'TriggerMessage', { requestedMessage: 'StatusNotification', connectorId: 1 }, accepted],
			['UnlockConnector', { evseId: 1, connectorId: 1 }, { status: 'Unlocked' }, 'UnlockConnector', { connectorId: 1 }, { status: 'Unlocked' }],
			['ChangeAvailability', { operationalStatus: 'Inoperative' }, accepted, 'ChangeAvailability', { connectorId: 0, type: 'Inoperative' }, accepted],
			['ClearCache', {}, accepted, 'ClearCache', {}, accepted],
			['GetLocalListVersion', {}, { versionNumber: 4 }, 'GetLocalListVersion', {}, { listVersion: 4 }],
			['SendLocalList', { versionNumber: 5, updateType: 'Differential', localAuthorizationList: [{ idToken: { idToken: 'A', type: 'ISO14443' }, idTokenInfo: { status: 'Blocked' } }, { idToken: { idToken: 'B', type: 'ISO14443' } }] }, accepted,
				'SendLocalList', { listVersion: 5, updateType: 'Differential', localAuthorizationList: [{ idTag: 'A', idTagInfo: { status: 'Blocked' } }, { idTag: 'B' }] }, accepted],
			['ReserveNow', { id: 3, evseId: 1, expiryDateTime: expiry, idToken: { idToken: 'C', type: 'ISO14443' } }, { status: 'Occupied' }, 'ReserveNow', { connectorId: 1, expiryDate: expiry, idTag: 'C', reservationId: 3 }, { status: 'Occupied' }],
			['CancelReservation', { reservationId: 3 }, { status: 'Rejected' }, 'CancelReservation', { reservationId: 3 }, { status: 'Rejected' }],
			['SetChargingProfile', { evseId: 1, chargingProfile: { id: 7, ...profile, chargingSchedule: [{ id: 1, ...schedule }] } }, accepted,
				'SetChargingProfile', { connectorId: 1, csChargingProfiles: { chargingProfileId: 7, ...profile, chargingSchedule: schedule } }, accepted],
			['GetCompositeSchedule', { evseId: 1, duration: 1800, chargingRateUnit: 'A' }, { status: 'Accepted', schedule: { evseId: 1, duration: 1800, scheduleStart: '2031-05-06T07:08:09Z', chargingRateUnit: 'A', chargingSchedulePeriod: periods } },
				'GetCompositeSchedule', { connectorId: 1, duration: 1800, chargingRateUnit: 'A' }, { status: 'Accepted', connectorId: 1, scheduleStart: '2031-05-06T07:08:09Z', chargingSchedule: { duration: 1800, chargingRateUnit: 'A', chargingSchedulePeriod: periods } }],
			['ClearChargingProfile', { chargingProfileCriteria: { evseId: 1, chargingProfilePurpose: 'TxDefaultProfile', stackLevel: 2 } }, { status: 'Unknown' }, 'ClearChargingProfile', { connectorId: 1, chargingProfilePurpose: 'TxDefaultProfile', stackLevel: 2 }, { status: 'Unknown' }],
			['UpdateFirmware', { requestId: 1, retries: 2, firmware: { location: 'https://example.com/fw', retrieveDateTime: '2030-01-02T03:04:05Z' } }, accepted, 'UpdateFirmware', { location: 'https://example.com/fw', retrieveDate: '2030-01-02T03:04:05Z', retries: 2 }, {}],
			['DataTransfer', { vendorId: 'com.example', messageId: 'm', data: 'd' }, { status: 'UnknownVendorId' }, 'DataTransfer', { vendorId: 'com.example', messageId: 'm', data: 'd' }, { status: 'UnknownVendorId' }],
		]) {
			s.answers[method] = answer;
			await command(s.id, action, payload, response);
			assert.deepEqual(s.last(method), params, action);
		}
		s.unblemished();
	});

	test('tells what happens', async (t) => {
		const s = await boot(t, fresh('RPC16-TELLS'));
		assert.deepEqual(await s.call('FirmwareStatusNotification', { status: 'DownloadFailed' }), {});
		assert.deepEqual(await s.call('DiagnosticsStatusNotification', { status: 'Uploaded' }), {});
		assert.deepEqual(await s.call('DataTransfer', { vendorId: 'com.example', messageId: 'hello', data: 'plain' }), { status: 'UnknownVendorId' });
		const payload = async (action) => (await items(`/stations/${s.id}/notices?action=${action}`)).map((n) => n.payload);
		assert.deepEqual(await payload('FirmwareStatusNotification'), [{ status: 'DownloadFailed' }]);
		assert.deepEqual((await payload('LogStatusNotification')).map((p) => p.status), ['Uploaded']);
		assert.deepEqual(await payload('DataTransfer'), [{ vendorId: 'com.example', messageId: 'hello', data: 'plain' }]);

		await s.call('StatusNotification', { connectorId: 1, errorCode: 'GroundFailure', info: 'wet', status: 'Faulted', timestamp: ago(30), vendorErrorCode: 'E17' });
		await eventually(() => connectorOf(s.id), (c) => assert.deepEqual([c.status, c.error?.code, c.error?.info], ['Faulted', 'GroundFailure', 'E17: wet']));
		await s.call('StatusNotification', { connectorId: 1, errorCode: 'NoError', status: 'Available', timestamp: ago(20) });
		await eventually(() => connectorOf(s.id), (c) => assert.deepEqual([c.status, c.error], ['Available', null]));
		assert.deepEqual(await s.call('MeterValues', { connectorId: 1, meterValue: [energy(ago(10), '9000', '0', 'Sample.Clock')] }), {});
		assert.deepEqual(await items(`/sessions?station=${s.id}`), []);
		s.unblemished();
	});

	test('shows its password', async (t) => {
		const id = fresh('RPC16-PASSWORD');
		const { password } = await api('POST', '/stations', { id, securityProfile: 1 }, 201);
		await assert.rejects(Station.open(t, 'ocpp1.6', id, `${password}!`), /Unauthorized/);
		const s = await boot(t, id, password);
		assert.deepEqual(await s.call('Heartbeat', {}).then((r) => Object.keys(r)), ['currentTime']);
		s.unblemished();
	});
});
