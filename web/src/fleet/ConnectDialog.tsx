import { Alert, Button, Group, Modal, Select, Stack, TextInput } from "@mantine/core";
import { type FormEvent, useState } from "react";
import { useRegister } from "../api/queries";
import { ProblemView } from "../parts/Problem";
import { CopyText, Secret } from "../parts/Secret";
import { t } from "../texts";
import { stationAddress } from "./address";
import css from "./fleet.module.css";

/** Stands for the id in the address as long as none is known. */
const placeholder = "<id>";

type Registered = { id: string; securityProfile: number; password?: string };

/** How a station gets here: the address to enter in it and, for those who want it in advance, its registration. */
export default function ConnectDialog({ onClose }: { onClose: () => void }) {
  const [done, setDone] = useState<Registered | null>(null);
  return (
    <Modal
      opened
      onClose={onClose}
      size="lg"
      title={done ? t.connect.registered(done.id) : t.connect.title}
      closeButtonProps={{ "aria-label": t.dialog.close }}
    >
      {done ? (
        <Stack gap="md">
          <p className={css.lead}>{t.connect.registeredLead}</p>
          <CopyText name={t.connect.address} text={stationAddress(done.id)} />
          <TlsHint profile={done.securityProfile} />
          {done.password && <Secret user={done.id} password={done.password} />}
          <Group justify="flex-end" gap="sm">
            <Button variant="default" onClick={() => setDone(null)}>
              {t.connect.another}
            </Button>
            <Button onClick={onClose}>{t.connect.done}</Button>
          </Group>
        </Stack>
      ) : (
        <Form onClose={onClose} onDone={setDone} />
      )}
    </Modal>
  );
}

/** The address above is this page's own; a station that must use TLS needs another when the page came without. */
function TlsHint({ profile }: { profile: number }) {
  if (profile < 2 || window.location.protocol === "https:") return null;
  return <Alert color="gray">{t.connect.noTls(profile)}</Alert>;
}

type FormProps = { onClose: () => void; onDone: (station: Registered) => void };

function Form({ onClose, onDone }: FormProps) {
  const [id, setId] = useState("");
  const [profile, setProfile] = useState("1");
  const [missing, setMissing] = useState(false);
  const register = useRegister();
  const wanted = id.trim();
  const securityProfile = Number(profile);

  const submit = (event: FormEvent) => {
    event.preventDefault();
    setMissing(!wanted);
    if (!wanted) return;
    register.mutate(
      { id: wanted, securityProfile },
      { onSuccess: (made) => onDone({ id: made.id, securityProfile, password: made.password }) },
    );
  };

  return (
    <form onSubmit={submit}>
      <Stack gap="md">
        <CopyText
          name={t.connect.address}
          text={wanted ? stationAddress(wanted) : stationAddress() + placeholder}
        >
          {t.connect.addressLead} {t.connect.where}
        </CopyText>
        <p className={css.lead}>{t.connect.waiting}</p>
        <div className={css.registerHead}>
          <h3>{t.connect.register}</h3>
          <p className={css.lead}>{t.connect.registerLead}</p>
        </div>
        <TextInput
          label={t.connect.id}
          description={t.connect.idHint}
          error={missing && !wanted ? t.connect.needId : undefined}
          value={id}
          onChange={(e) => setId(e.currentTarget.value)}
          maxLength={48}
          autoComplete="off"
          spellCheck={false}
          data-autofocus
        />
        <Select
          label={t.connect.profile}
          description={securityProfile === 1 || securityProfile === 2 ? t.connect.password : undefined}
          data={t.connect.profiles.map((label, value) => ({ value: String(value), label }))}
          value={profile}
          onChange={(value) => setProfile(value ?? profile)}
          allowDeselect={false}
        />
        <TlsHint profile={securityProfile} />
        {register.isError && <ProblemView cause={register.error} />}
        <Group justify="flex-end" gap="sm">
          <Button variant="default" onClick={onClose}>
            {t.dialog.cancel}
          </Button>
          <Button type="submit" loading={register.isPending}>
            {t.connect.submit}
          </Button>
        </Group>
      </Stack>
    </form>
  );
}
