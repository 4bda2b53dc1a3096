package archive_test

import (
	"bytes"
	"context"
	"fmt"
	"time"

	"github.com/fleetfold/fleetfold/pkg/archive"
	"github.com/fleetfold/fleetfold/pkg/eventlog"
	"github.com/fleetfold/fleetfold/pkg/events"
)

func tamperTime() time.Time { return time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC) }

// A log of one message is written, one byte of the file is changed, and it is read.
func Example() {
	ctx := context.Background()
	log := eventlog.NewMemory(events.DefaultSubjects(), tamperTime)
	if _, err := log.AppendRaw(ctx, events.Message{Subject: "fleet.events.plan", Data: []byte(`{"basis":7}`)}); err != nil {
		fmt.Println(err)
		return
	}
	var b bytes.Buffer
	sum, err := archive.Export{Source: archive.Live{Log: log}, Subjects: log.Subjects(), Until: 1}.Write(ctx, &b)
	fmt.Println(sum.Size, err)

	changed := bytes.Replace(b.Bytes(), []byte("7}"), []byte("8}"), 1)
	f, err := archive.Spool(bytes.NewReader(changed), archive.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer f.Close()
	_, err = f.Verify(ctx)
	fmt.Println(err)
	// Output:
	// 1 <nil>
	// read export: line 2, sequence 1: chain is b5d5fd34…, but of this record on the one before it follows 9f9e0cc8…: one of them was changed
}
