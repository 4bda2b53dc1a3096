package tamper

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fleetfold/fleetfold/pkg/eventlog"
	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/inventory"
	"github.com/fleetfold/fleetfold/pkg/merkle"
)

// Knowledge is what a reader has beside the file.
type Knowledge int

// From nothing, the public key of the checkpoints, and one of them that was kept.
const (
	Nothing Knowledge = iota
	Key
	KeyAndKept
)

// Way is one way to change an export.
type Way struct {
	Name string
	// Needs is what a reader must know at least to find it.
	Needs Knowledge
	// Change returns the file that the tamperer hands out, and the line and the
	// sequence at which it must be found.
	Change func(f *File) (line int, seq uint64)
	// Says is a piece of what a person is told.
	Says string
}

// File is the export that is being changed.
type File struct {
	T     testing.TB
	Story *Story
	// Lines with their ends.
	Lines [][]byte
}

// Apply returns the changed file of the story, and where it must be found.
func (w Way) Apply(t testing.TB, s *Story) (file []byte, line int, seq uint64) {
	f := &File{T: t, Story: s, Lines: bytes.SplitAfter(s.File(t), []byte("\n"))}
	f.Lines = f.Lines[:len(f.Lines)-1]
	line, seq = w.Change(f)
	return bytes.Join(f.Lines, nil), line, seq
}

// of is the index of a record's line.
func (f *File) of(seq uint64) int {
	return f.find(fmt.Sprintf(`{"seq":%d,`, seq))
}

func (f *File) find(begin string) int {
	i := slices.IndexFunc(f.Lines, func(l []byte) bool { return bytes.HasPrefix(l, []byte(begin)) })
	if i < 0 {
		f.T.Fatalf("no line begins with %s", begin)
	}
	return i
}

// swap replaces text in a line, which must be there.
func (f *File) swap(i int, old, by string) {
	if !bytes.Contains(f.Lines[i], []byte(old)) {
		f.T.Fatalf("%q is not in %s", old, f.Lines[i])
	}
	f.Lines[i] = bytes.Replace(f.Lines[i], []byte(old), []byte(by), 1)
}

// flip changes the last character before the first end.
func (f *File) flip(i int, end string) {
	at := bytes.LastIndex(f.Lines[i], []byte(end)) - 1
	was := f.Lines[i][at]
	f.Lines[i] = bytes.Clone(f.Lines[i])
	if f.Lines[i][at] = 'b'; was == 'b' {
		f.Lines[i][at] = 'a'
	}
}

// rootTail is the text of the root in the last line but for its first character.
func (f *File) rootTail(i int) string {
	_, root, _ := strings.Cut(string(f.Lines[i]), `"root":"`)
	return root[1:20]
}

func (f *File) size() uint64 { return uint64(len(f.Story.Log)) }

// edit changes one record's line in place.
func edit(seq uint64, old, by string) func(f *File) (int, uint64) {
	return func(f *File) (int, uint64) {
		i := f.of(seq)
		f.swap(i, old, by)
		return i + 1, seq
	}
}

// rewrite tells another history with the same tools: chain, root and trailer fit.
// The returned sequence is that of the first checkpoint behind the change.
func rewrite(change func(f *File, log []eventlog.Record) []eventlog.Record, resign func(f *File) *merkle.Key) func(f *File) (int, uint64) {
	return func(f *File) (int, uint64) {
		forged := *f.Story
		forged.Log = change(f, slices.Clone(f.Story.Log))
		var key *merkle.Key
		if resign != nil {
			key = resign(f)
		}
		var tree merkle.Frontier
		first := uint64(0)
		for i := range forged.Log {
			r := &forged.Log[i]
			r.Sequence = uint64(i) + 1
			if d, ok := signedIn(*r); ok {
				if first == 0 {
					first = r.Sequence
				}
				if key != nil {
					f.resign(r, d, &tree, *key)
				}
			}
			tree.Append(merkle.LeafOf(*r))
		}
		f.Lines = bytes.SplitAfter(forged.File(f.T), []byte("\n"))
		f.Lines = f.Lines[:len(f.Lines)-1]
		return f.of(first) + 1, first
	}
}

func signedIn(r eventlog.Record) (*events.CheckpointSigned, bool) {
	if r.Event == nil {
		return nil, false
	}
	d, ok := r.Event.Data.(*events.CheckpointSigned)
	return d, ok
}

// resign replaces the checkpoint that the record is by one of the forged history.
func (f *File) resign(r *eventlog.Record, _ *events.CheckpointSigned, tree *merkle.Frontier, key merkle.Key) {
	e := *r.Event
	d, _ := Checkpoint(f.T, tree, key)
	e.Data, e.Body = d, nil
	m, err := events.Encode(events.DefaultSubjects(), &e)
	if err != nil {
		f.T.Fatal(err)
	}
	r.Message = m
	r.Event, r.Err = events.Decode(events.DefaultSubjects(), m)
}

// anotherCause changes a fact in the middle: record 5, which both checkpoints cover.
func anotherCause(_ *File, log []eventlog.Record) []eventlog.Record {
	log[4].Time = log[4].Time.Add(time.Hour)
	return log
}

// dropped leaves out a record between the two checkpoints.
func dropped(_ *File, log []eventlog.Record) []eventlog.Record {
	return slices.Delete(log, 15, 16)
}

func sameKey(f *File) *merkle.Key { return &f.Story.Key }

func anotherKey(f *File) *merkle.Key {
	key := NewKey(f.T, Origin)
	return &key
}

// Ways are all of them.
var Ways = slices.Concat(records, lines, ends, histories)

var records = []Way{
	{"a byte of the data", Nothing, edit(3, `"epoch":1`, `"epoch":2`), "chain"},
	{"a blank within the data", Nothing, edit(3, `"epoch":1`, `"epoch": 1`), "chain"},
	{"a byte of data that is no JSON", Nothing, edit(11, "bm8gey", "bm8gez"), "chain"},
	{"a header's value", Nothing, edit(4, `"ce-type":["node.appeared"]`, `"ce-type":["node.lost"]`), "chain"},
	{"a header's name", Nothing, edit(4, `"ce-type"`, `"ce-typo"`), "chain"},
	{"a header less", Nothing, edit(4, `"ce-subject":["node-2"],`, ``), "chain"},
	{"a value of a header changes places", Nothing, edit(11, `["a","",`, `["","a",`), "chain"},
	{"the time, by a nanosecond", Nothing, edit(5, `945Z`, `944Z`), "chain"},
	{"the time, as another zone writes it", Nothing, edit(5, `Z","subject"`, `+00:00","subject"`), "otherwise than an export writes it"},
	{"the subject", Nothing, edit(5, `fleet.events.node.node-3`, `fleet.events.node.node-4`), "chain"},
	{"a subject of another fleet", Nothing, edit(5, `"fleet.events`, `"other.events`), "none of the log of prefix"},
	{"the sequence", Nothing, func(f *File) (int, uint64) {
		i := f.of(6)
		f.swap(i, `"seq":6`, `"seq":7`)
		return i + 1, 6
	}, "sequence 7 follows on 5"},
	{"the chain of one line", Nothing, func(f *File) (int, uint64) {
		i := f.of(7)
		f.flip(i, `"}`)
		return i + 1, 7
	}, "chain"},
	{"a letter of a string is escaped", Nothing, edit(15, `"subject":"fleet`, `"subject":"\u0066leet`), "otherwise than an export writes it"},
	{"a blank between two tokens", Nothing, edit(8, `,"time"`, `, "time"`), "no line of a record"},
	{"a key that stands twice", Nothing, edit(8, `,"time"`, `,"seq":8,"time"`), "no line of a record"},
	{"data in base64 that could stand as it is", Nothing, edit(10, `"data64":""`, `"data":""`), "chain"},
}

var lines = []Way{
	{"a line is dropped", Nothing, func(f *File) (int, uint64) {
		i := f.of(6)
		f.Lines = slices.Delete(f.Lines, i, i+1)
		return i + 1, 6
	}, "sequence 7 follows on 5"},
	{"two lines change places", Nothing, func(f *File) (int, uint64) {
		i := f.of(6)
		f.Lines[i], f.Lines[i+1] = f.Lines[i+1], f.Lines[i]
		return i + 1, 6
	}, "sequence 7 follows on 5"},
	{"two lines change places, with their sequences", Nothing, func(f *File) (int, uint64) {
		i := f.of(6)
		f.Lines[i], f.Lines[i+1] = f.Lines[i+1], f.Lines[i]
		f.swap(i, `"seq":7`, `"seq":6`)
		f.swap(i+1, `"seq":6`, `"seq":7`)
		return i + 1, 6
	}, "chain"},
	{"a line stands twice", Nothing, func(f *File) (int, uint64) {
		i := f.of(6)
		f.Lines = slices.Insert(f.Lines, i+1, f.Lines[i])
		return i + 2, 7
	}, "sequence 6 follows on 6"},
	{"a record of somebody's own is inserted", Nothing, func(f *File) (int, uint64) {
		i := f.of(6)
		own := bytes.Replace(f.Lines[i], []byte(`"seq":6`), []byte(`"seq":7`), 1)
		f.Lines = slices.Insert(f.Lines, i+1, own)
		return i + 2, 7
	}, "chain"},
	{"a line of no sort is inserted", Nothing, func(f *File) (int, uint64) {
		i := f.of(6)
		f.Lines = slices.Insert(f.Lines, i, []byte("{}\n"))
		return i + 1, 6
	}, "no line of an export"},
	{"an empty line is inserted", Nothing, func(f *File) (int, uint64) {
		i := f.of(6)
		f.Lines = slices.Insert(f.Lines, i, []byte("\n"))
		return i + 1, 6
	}, "no line of an export"},
	{"a byte of an inventory", Nothing, func(f *File) (int, uint64) {
		f.swap(1, `# one`, `# One`)
		return 2, 1
	}, "it was changed"},
	{"an inventory, with its digest", Nothing, func(f *File) (int, uint64) {
		old, text := inventory.Digest([]byte("trust_domain: fleet.example\n# one\n")), []byte("trust_domain: fleet.example\n# One\n")
		f.swap(1, `# one`, `# One`)
		f.swap(1, old, inventory.Digest(text))
		return 3, 1
	}, "does not apply it"},
	{"an inventory is dropped", Nothing, func(f *File) (int, uint64) {
		f.Lines = slices.Delete(f.Lines, 1, 2)
		return 2, 1
	}, "does not stand before it"},
	{"an inventory that nobody applied", Nothing, func(f *File) (int, uint64) {
		text := "trust_domain: fleet.example\n# three\n"
		line := fmt.Sprintf("{\"inventory\":%q,\"text\":%q}\n", inventory.Digest([]byte(text)), text)
		i := f.of(6)
		f.Lines = slices.Insert(f.Lines, i, []byte(line))
		return i + 2, 6
	}, "does not apply it"},
	{"an inventory stands twice", Nothing, func(f *File) (int, uint64) {
		i := f.of(6)
		f.Lines = slices.Insert(f.Lines, i, f.Lines[1])
		return i + 1, 6
	}, "where no record needs it"},
}

var ends = []Way{
	{"another prefix", Nothing, func(f *File) (int, uint64) {
		f.swap(0, `"prefix":"fleet"`, `"prefix":"fleets"`)
		return 1, 0
	}, "chain does not begin"},
	{"a part that poses as the whole", Nothing, func(f *File) (int, uint64) {
		f.Lines = bytes.SplitAfter(Export(f.T, f.Story, 12), []byte("\n"))
		f.swap(0, `"after":12`, `"after":0`)
		return 1, 0
	}, "frontier"},
	{"the last record is dropped", Nothing, func(f *File) (int, uint64) {
		i := f.of(f.size())
		f.Lines = slices.Delete(f.Lines, i, i+1)
		return i + 1, f.size()
	}, "the export ends at sequence"},
	{"the last record is dropped, and the size changed", Nothing, func(f *File) (int, uint64) {
		i := f.of(f.size())
		f.Lines = slices.Delete(f.Lines, i, i+1)
		f.swap(i, fmt.Sprintf(`"size":%d`, f.size()), fmt.Sprintf(`"size":%d`, f.size()-1))
		return i + 1, f.size()
	}, "chain"},
	{"the root", Nothing, func(f *File) (int, uint64) {
		i := len(f.Lines) - 1
		f.flip(i, f.rootTail(i))
		return i + 1, f.size() + 1
	}, "root"},
	{"the last line is dropped", Nothing, func(f *File) (int, uint64) {
		f.Lines = f.Lines[:len(f.Lines)-1]
		return len(f.Lines) + 1, f.size() + 1
	}, "last line of the export is missing"},
	{"the file is cut within a line", Nothing, func(f *File) (int, uint64) {
		i := f.of(9)
		f.Lines = append(f.Lines[:i:i], f.Lines[i][:20])
		return i + 1, 9
	}, "cut off"},
	{"something follows on the last line", Nothing, func(f *File) (int, uint64) {
		f.Lines = append(f.Lines, f.Lines[f.of(9)])
		return len(f.Lines), f.size() + 1
	}, "something follows"},
	{"a part that belongs to another place", Nothing, func(f *File) (int, uint64) {
		f.Lines = append(f.Lines, Export(f.T, f.Story, 12))
		return len(f.Lines), f.size() + 1
	}, "begins behind sequence 12"},
	{"the newest checkpoint is replaced by an older one", Nothing, func(f *File) (int, uint64) {
		i := len(f.Lines) - 1
		older, _ := signedIn(f.Story.Log[f.Story.Early.Size])
		line := string(f.Lines[i])
		at := strings.Index(line, `,"checkpoint":`)
		f.Lines[i] = fmt.Appendf(nil, "%s,\"checkpoint\":%s}\n", line[:at], strings.NewReplacer("\n", `\n`).Replace(`"`+older.Note+`"`))
		return i + 1, f.size() + 1
	}, "not the newest"},
	{"a byte of the signature", Key, func(f *File) (int, uint64) {
		// Record, chain and last line fit: it takes the key to see.
		rewrite(func(f *File, log []eventlog.Record) []eventlog.Record {
			r := &log[f.Story.secondCheckpoint()-1]
			r.Message.Header = maps.Clone(r.Message.Header)
			at := bytes.LastIndex(r.Message.Data, []byte("=\\n")) - 20
			r.Message.Data = bytes.Clone(r.Message.Data)
			was := r.Message.Data[at]
			if r.Message.Data[at] = 'B'; was == 'B' {
				r.Message.Data[at] = 'A'
			}
			r.Event, r.Err = events.Decode(events.DefaultSubjects(), r.Message)
			return log
		}, nil)(f)
		second := f.Story.secondCheckpoint()
		return f.of(second) + 1, second
	}, "signature does not hold"},
}

var histories = []Way{
	{"another history, chained anew", Nothing, rewrite(anotherCause, nil), "one of them is not what was signed"},
	{"a record left out, chained anew", Nothing, func(f *File) (int, uint64) {
		rewrite(dropped, nil)(f)
		second := f.Story.secondCheckpoint() - 1
		return f.of(second) + 1, second
	}, "records before it are missing"},
	{"a record in place of another, chained anew", Nothing, func(f *File) (int, uint64) {
		rewrite(func(f *File, log []eventlog.Record) []eventlog.Record {
			return slices.Insert(dropped(f, log), 12, log[13])
		}, nil)(f)
		second := f.Story.secondCheckpoint()
		return f.of(second) + 1, second
	}, "one of them is not what was signed"},
	{"a header that commands the server, chained anew", Nothing, func(f *File) (int, uint64) {
		rewrite(func(_ *File, log []eventlog.Record) []eventlog.Record {
			log[9].Message.Header = map[string][]string{"Nats-Rollup": {"all"}}
			return log
		}, nil)(f)
		return f.of(10) + 1, 10
	}, "part of no record"},
	{"another history, chained anew and signed by another key", Key, rewrite(anotherCause, anotherKey), "signature does not hold"},
	{"another history, chained anew and signed by the same key", KeyAndKept, func(f *File) (int, uint64) {
		rewrite(anotherCause, sameKey)(f)
		return f.of(f.Story.Early.Size) + 1, f.Story.Early.Size
	}, "checkpoint that was kept"},
	{"a history that ends before what was kept", KeyAndKept, func(f *File) (int, uint64) {
		rewrite(func(f *File, log []eventlog.Record) []eventlog.Record {
			return append(log[:9:9], log[f.Story.Early.Size])
		}, sameKey)(f)
		return len(f.Lines) + 1, 11
	}, "before sequence 11 of the checkpoint"},
}

func (s *Story) secondCheckpoint() uint64 {
	last := uint64(0)
	for _, r := range s.Log {
		if _, ok := signedIn(r); ok {
			last = r.Sequence
		}
	}
	return last
}
