package eventlog

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/synadia-io/orbit.go/jetstreamext"
)

// ReadSubject returns up to limit records of the log on one subject with a
// sequence above after, in order; none when there are no more. What is on other
// subjects is not sent, which spares most of a long log. Any replica may answer,
// and one that is behind answers with what it has.
func (b *Bus) ReadSubject(ctx context.Context, subject string, after uint64, limit int) ([]Record, error) {
	log := &streamLog{bus: b, name: b.logStream()}
	var records []Record
	for len(records) < limit {
		page, err := log.subjectPage(ctx, subject, after, limit-len(records))
		if err != nil {
			return nil, fmt.Errorf("read log on %s: %w", subject, err)
		}
		if len(page) == 0 {
			break
		}
		records = append(records, page...)
		after = page[len(page)-1].Sequence
	}
	return records, nil
}

// subjectPage takes what one answer brings. Where it brings nothing, or ends with
// something odd, the next record is asked for alone: a message whose headers look
// like the server's must not end the reading.
func (l *streamLog) subjectPage(ctx context.Context, subject string, after uint64, want int) (records []Record, err error) {
	asked, cancel := question(ctx)
	defer cancel()
	messages, err := jetstreamext.GetBatch(asked, l.bus.js, l.name, min(want, readMessages),
		jetstreamext.GetBatchSeq(after+1), jetstreamext.GetBatchSubject(subject), jetstreamext.GetBatchMaxBytes(readBytes))
	if err == nil {
		for m, err := range messages {
			if err != nil || m.Sequence <= after || !matches(subject, m.Subject) || forged(m.Header) {
				break
			}
			r, err := l.record(asked, m.Sequence, m.Time, m.Subject, m.Header, m.Data)
			if err != nil {
				return records, err
			}
			records = append(records, r)
			after = m.Sequence
		}
	}
	if len(records) > 0 || ctx.Err() != nil {
		return records, ctx.Err()
	}
	return l.subjectNext(ctx, subject, after)
}

// matches says whether a subject is the one that was asked for, or has one token
// where that has "*" as its last.
func matches(asked, subject string) bool {
	parent, one := strings.CutSuffix(asked, "*")
	if !one {
		return asked == subject
	}
	token, below := strings.CutPrefix(subject, parent)
	return below && token != "" && !strings.Contains(token, ".")
}

func (l *streamLog) subjectNext(ctx context.Context, subject string, after uint64) ([]Record, error) {
	m, err := l.bus.getDirect(ctx, l.name, map[string]any{"seq": after + 1, "next_by_subj": subject})
	switch {
	case errors.Is(err, errNoMessage):
		return nil, nil
	case errors.Is(err, jetstream.ErrStreamNotFound):
		return nil, plain(err)
	case errors.Is(err, errNoPlace):
		return l.subjectScan(ctx, subject, after)
	case err != nil:
		return nil, err
	}
	r, err := l.record(ctx, m.Seq, m.Time, m.Subject, m.header, m.Data)
	if err != nil {
		return nil, err
	}
	return []Record{r}, nil
}

// subjectScan finds the next record by reading all of them: it came, but nobody
// can tell its sequence from its headers.
func (l *streamLog) subjectScan(ctx context.Context, subject string, after uint64) ([]Record, error) {
	for {
		page, err := l.Read(ctx, after, readMessages)
		if err != nil || len(page) == 0 {
			return nil, err
		}
		for _, r := range page {
			if matches(subject, r.Message.Subject) {
				return []Record{r}, nil
			}
		}
		after = page[len(page)-1].Sequence
	}
}
