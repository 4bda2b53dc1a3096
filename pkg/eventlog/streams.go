package eventlog

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

const (
	// ingestMaxAge is how long what nodes say waits for the border to read it.
	// Nodes repeat what has not reached the log, so nothing is lost for good.
	ingestMaxAge = 2 * time.Minute
	// markerTTL is how long the end of a lease stays readable: well above the
	// time a planner needs to start again.
	markerTTL = 5 * time.Minute
	// awaitTold is how often it is told that streams are waited for.
	awaitTold = time.Minute
)

// Names of the streams and of the buckets of one fleet.
func (b *Bus) streamPrefix() string      { return strings.ToUpper(b.subjects.Prefix()) }
func (b *Bus) logStream() string         { return b.streamPrefix() }
func (b *Bus) ingestStream() string      { return b.streamPrefix() + "_INGEST" }
func (b *Bus) presenceStream() string    { return b.streamPrefix() + "_PRESENCE" }
func (b *Bus) trustStream() string       { return b.streamPrefix() + "_TRUST" }
func (b *Bus) inventoriesBucket() string { return b.streamPrefix() + "_INVENTORIES" }
func (b *Bus) snapshotsBucket() string   { return b.streamPrefix() + "_SNAPSHOTS" }

// Mismatch is one setting of a stream that is not as it must be.
type Mismatch struct {
	Stream, Setting, Have, Want string
}

// SettingsError says that streams exist with settings under which the fleet's
// promises do not hold. Nothing was changed.
type SettingsError struct {
	Mismatches []Mismatch
}

// Error lists every setting, and what a person can do.
func (e *SettingsError) Error() string {
	var b strings.Builder
	b.WriteString("streams exist with other settings:")
	for _, m := range e.Mismatches {
		fmt.Fprintf(&b, " %s: %s is %s, must be %s;", m.Stream, m.Setting, m.Have, m.Want)
	}
	b.WriteString(" change them with \"nats stream edit\", or use another --prefix")
	return b.String()
}

// EnsureStreams makes the fleet's streams and its buckets where they are
// missing. It may be called at any time and by several processes at once. It
// never changes a stream that exists: if one has other settings, the error is a
// *SettingsError with all of them.
//
// In a cluster it waits for a leader and for enough servers, up to half a minute
// or the end of ctx; what a person can do about it then is in a *ClusterError.
func (b *Bus) EnsureStreams(ctx context.Context) error {
	var made survey
	err := b.whenSettled(ctx, func(ctx context.Context) (err error) {
		made, err = b.ensureAll(ctx)
		return err
	})
	if err != nil {
		return err
	}
	b.warnOfWeak(made.replicas)
	if len(made.wrong) > 0 {
		return &SettingsError{Mismatches: made.wrong}
	}
	return b.checkImport(ctx)
}

// AwaitStreams waits until the streams and the buckets are there, and makes
// none: it is for those who may not. A cluster is waited for as EnsureStreams
// does; the error is that of EnsureStreams.
func (b *Bus) AwaitStreams(ctx context.Context) error {
	told := time.Time{}
	for n := 0; ; n++ {
		var found survey
		err := b.whenSettled(ctx, func(ctx context.Context) (err error) {
			found, err = b.inspect(ctx)
			return err
		})
		switch {
		case err == nil && len(found.wrong) > 0:
			return &SettingsError{Mismatches: found.wrong}
		case err == nil:
			b.warnOfWeak(found.replicas)
			return b.checkImport(ctx)
		case !errors.Is(err, jetstream.ErrStreamNotFound) && !errors.Is(err, jetstream.ErrBucketNotFound):
			return fmt.Errorf("look for streams: %w", plain(err))
		case time.Since(told) > awaitTold:
			b.tell("waiting for a planner to make the streams", nil)
			told = time.Now()
		}
		if err := b.pause(ctx, n); err != nil {
			return fmt.Errorf("wait for streams: %w", err)
		}
	}
}

// inspect fails where something is missing.
func (b *Bus) inspect(ctx context.Context) (survey, error) {
	ctx, cancel := question(ctx)
	defer cancel()
	found := survey{replicas: make(map[string]int)}
	for _, want := range []jetstream.StreamConfig{b.logConfig(), b.ingestConfig(), b.presenceConfig(), b.inventoriesConfig(), b.snapshotsConfig()} {
		s, err := b.js.Stream(ctx, want.Name)
		if err != nil {
			return survey{}, err
		}
		found.add(want, s.CachedInfo().Config, b.options.Replicas)
	}
	return found, nil
}

// survey is what there is once everything is made.
type survey struct {
	wrong    []Mismatch
	replicas map[string]int // by the name of the stream
}

func (s *survey) add(want, have jetstream.StreamConfig, replicas int) {
	s.wrong = append(s.wrong, compare(want, have, replicas)...)
	s.replicas[want.Name] = have.Replicas
}

func (b *Bus) ensureAll(ctx context.Context) (survey, error) {
	made := survey{replicas: make(map[string]int)}
	for _, want := range []jetstream.StreamConfig{
		b.logConfig(), b.ingestConfig(), b.presenceConfig(), b.trustConfig(), b.inventoriesConfig(), b.snapshotsConfig(),
	} {
		have, err := b.ensureStream(ctx, want)
		if err != nil {
			return survey{}, fmt.Errorf("ensure stream %s: %w", want.Name, err)
		}
		made.add(want, have, b.options.Replicas)
	}
	if err := b.ensureTokens(ctx); err != nil {
		return survey{}, err
	}
	return made, nil
}

func (b *Bus) ensureStream(ctx context.Context, want jetstream.StreamConfig) (jetstream.StreamConfig, error) {
	ctx, cancel := question(ctx)
	defer cancel()
	s, err := b.js.Stream(ctx, want.Name)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		s, err = b.js.CreateStream(ctx, want)
		if errors.Is(err, jetstream.ErrStreamNameAlreadyInUse) { // another process was first
			s, err = b.js.Stream(ctx, want.Name)
		}
	}
	if err != nil {
		return jetstream.StreamConfig{}, err
	}
	return s.CachedInfo().Config, nil
}

func (b *Bus) logConfig() jetstream.StreamConfig {
	return jetstream.StreamConfig{
		Name: b.logStream(), Description: "The log of the fleet: facts and actions",
		Subjects: []string{b.subjects.AllEvents(), b.subjects.AllActions()},
		Storage:  jetstream.FileStorage, Replicas: b.replicas(),
		// No limits: history that could vanish could not be folded again.
		MaxMsgs: -1, MaxBytes: -1, MaxMsgsPerSubject: -1, MaxMsgSize: -1,
		Discard: jetstream.DiscardNew, DenyDelete: true, DenyPurge: true,
		AllowAtomicPublish: true, AllowDirect: true,
	}
}

// ingestConfig leaves rollup off: with it, a node that may publish only on its
// own subject could still erase the whole stream with one header.
func (b *Bus) ingestConfig() jetstream.StreamConfig {
	return jetstream.StreamConfig{
		Name: b.ingestStream(), Description: "What nodes say, before the border",
		Subjects: []string{b.subjects.AllPresence(), b.subjects.AllCredentials()},
		Storage:  jetstream.MemoryStorage, Replicas: b.replicas(),
		MaxMsgs: -1, MaxBytes: -1, MaxMsgsPerSubject: -1, MaxMsgSize: -1,
		MaxAge: ingestMaxAge, Discard: jetstream.DiscardOld, AllowMsgTTL: true,
	}
}

func (b *Bus) presenceConfig() jetstream.StreamConfig {
	return jetstream.StreamConfig{
		Name: b.presenceStream(), Description: "The newest heartbeat of each node, as a lease",
		Sources: []*jetstream.StreamSource{{Name: b.ingestStream(), FilterSubject: b.subjects.AllPresence()}},
		Storage: jetstream.MemoryStorage, Replicas: b.replicas(),
		MaxMsgs: -1, MaxBytes: -1, MaxMsgsPerSubject: 1, MaxMsgSize: -1,
		Discard: jetstream.DiscardOld, AllowMsgTTL: true, SubjectDeleteMarkerTTL: markerTTL,
		// Markers of ended leases are rollups; nobody but the server writes here.
		AllowRollup: true, AllowDirect: true,
	}
}

// trustConfig keeps what nodes and receivers need of the log and may not read
// there: the newest of each kind.
func (b *Bus) trustConfig() jetstream.StreamConfig {
	return jetstream.StreamConfig{
		Name: b.trustStream(), Description: "Trust bundle, revocation lists and posture, for those who may not read the log",
		Subjects: []string{b.subjects.AllTrust()},
		Storage:  jetstream.FileStorage, Replicas: b.replicas(),
		MaxMsgs: -1, MaxBytes: -1, MaxMsgsPerSubject: 1, MaxMsgSize: -1,
		Discard: jetstream.DiscardOld, DenyDelete: true, DenyPurge: true, AllowDirect: true,
	}
}

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

// compare lists the settings that the fleet's promises rest on. replicas of
// zero accepts any number.
func compare(want, have jetstream.StreamConfig, replicas int) []Mismatch {
	var wrong []Mismatch
	w, h := settings(want), settings(have)
	for i := range w {
		if w[i].name == "num_replicas" && replicas == 0 {
			continue
		}
		if w[i].value != h[i].value {
			wrong = append(wrong, Mismatch{want.Name, w[i].name, h[i].value, w[i].value})
		}
	}
	return wrong
}

type setting struct{ name, value string }

// settings names each as the nats command and the server's API do.
func settings(c jetstream.StreamConfig) []setting {
	show := func(v any) string { return fmt.Sprint(v) }
	subjects := slices.Sorted(slices.Values(c.Subjects))
	var sources []string
	for _, s := range c.Sources {
		sources = append(sources, s.Name+" filtered by "+s.FilterSubject)
	}
	return []setting{
		{"subjects", show(subjects)},
		{"sources", show(sources)},
		{"retention", show(c.Retention)},
		{"storage", show(c.Storage)},
		{"num_replicas", show(c.Replicas)},
		{"discard", show(c.Discard)},
		{"max_msgs", show(c.MaxMsgs)},
		{"max_bytes", show(c.MaxBytes)},
		{"max_age", show(c.MaxAge)},
		{"max_msgs_per_subject", show(c.MaxMsgsPerSubject)},
		{"deny_delete", show(c.DenyDelete)},
		{"deny_purge", show(c.DenyPurge)},
		{"sealed", show(c.Sealed)},
		{"allow_rollup_hdrs", show(c.AllowRollup)},
		{"allow_direct", show(c.AllowDirect)},
		{"allow_msg_ttl", show(c.AllowMsgTTL)},
		{"subject_delete_marker_ttl", show(c.SubjectDeleteMarkerTTL)},
		{"allow_msg_schedules", show(c.AllowMsgSchedules)},
		{"allow_atomic", show(c.AllowAtomicPublish)},
		{"subject_transform", show(c.SubjectTransform != nil)},
		{"republish", show(c.RePublish != nil)},
		{"mirror", show(c.Mirror != nil)},
		{"persist_mode", show(c.PersistMode)},
	}
}

// memoryStream looks a stream up and makes it again after its server was
// restarted: with one replica, a stream in memory does not outlive its server,
// and nobody could say that a node is there until somebody repairs it. The log
// is left alone: if that is gone, a person has to know.
func (b *Bus) memoryStream(ctx context.Context, name string) (jetstream.Stream, error) {
	s, err := b.js.Stream(ctx, name)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		for _, want := range []jetstream.StreamConfig{b.ingestConfig(), b.presenceConfig()} {
			if _, err := b.ensureStream(ctx, want); err != nil {
				return nil, fmt.Errorf("make stream %s again: %w", want.Name, err)
			}
		}
		s, err = b.js.Stream(ctx, name)
	}
	if err != nil {
		return nil, fmt.Errorf("look up stream: %w", plain(err))
	}
	return s, nil
}
