package eventlog

import "github.com/nats-io/nats.go/jetstream"

// bucketConfig is an object store in the layout that every client reads. The
// client library would make one whose messages may be erased by whoever may
// write them, so each bucket says for itself what may.
func (b *Bus) bucketConfig(bucket, description string) jetstream.StreamConfig {
	return jetstream.StreamConfig{
		Name: bucketStream + bucket, Description: description,
		Subjects: []string{"$O." + bucket + ".C.>", "$O." + bucket + ".M.>"},
		Storage:  jetstream.FileStorage, Replicas: b.replicas(),
		MaxMsgs: -1, MaxBytes: -1, MaxMsgsPerSubject: -1, MaxMsgSize: -1,
		Discard: jetstream.DiscardNew, AllowDirect: true,
	}
}

// inventoriesConfig lets nobody erase a text: an audit reads them years later.
func (b *Bus) inventoriesConfig() jetstream.StreamConfig {
	c := b.bucketConfig(b.inventoriesBucket(), "Texts of inventories by digest")
	c.DenyDelete, c.DenyPurge = true, true
	return c
}

// snapshotsConfig lets whoever writes snapshots replace what is stored under a
// subject, so that nobody needs the right to purge a stream; and what stands
// there instead ends by itself.
func (b *Bus) snapshotsConfig() jetstream.StreamConfig {
	c := b.bucketConfig(b.snapshotsBucket(), "Snapshots of the fold of the log")
	c.AllowRollup, c.AllowMsgTTL = true, true
	return c
}
