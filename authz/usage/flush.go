package usage

import (
	"context"
	"fmt"
	"math"
	"time"
)

// Start writes every Interval until Close.
func (g *Gatherer) Start() {
	ctx, cancel := context.WithCancel(context.Background())
	g.cancel, g.done = cancel, make(chan struct{})
	go g.run(ctx)
}

func (g *Gatherer) run(ctx context.Context) {
	defer close(g.done)
	ticker := time.NewTicker(g.Interval)
	defer ticker.Stop()
	failing := false
	var forgotten Day
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		// A store that does not answer must not hold the next batch for ever.
		within, cancel := context.WithTimeout(ctx, max(g.Interval, 30*time.Second))
		err := g.Flush(within)
		cancel()
		if err != nil && !failing && ctx.Err() == nil {
			g.Log.Error("usage cannot be written; it is kept in memory and written later", "error", err)
		}
		failing = err != nil
		if today := DayOf(g.Clock()); err == nil && today != forgotten {
			if err := g.Store.ForgetUsage(ctx, today-Day(g.Keep)); err == nil {
				forgotten = today
			} else if ctx.Err() == nil {
				g.Log.Error("old usage cannot be deleted; it is tried again", "error", err)
			}
		}
	}
}

// Close writes what was gathered and ends the writing.
func (g *Gatherer) Close(ctx context.Context) error {
	if g.cancel != nil {
		g.cancel()
		<-g.done
	}
	return g.Flush(ctx)
}

// Flush writes what was gathered: in one transaction, unless it is so much that
// others would wait for it. What the store refuses is kept for the next time.
func (g *Gatherer) Flush(ctx context.Context) error {
	g.flushing.Lock()
	defer g.flushing.Unlock()
	parts := g.take().split(g.MaxRows)
	for i, b := range parts {
		if err := g.write(ctx, b); err != nil {
			for _, rest := range parts[i:] {
				g.giveBack(rest)
			}
			return err
		}
	}
	g.stats.lastFlush.Store(g.Clock().UnixMilli())
	return nil
}

func (g *Gatherer) write(ctx context.Context, b *Batch) error {
	started := time.Now()
	left, err := g.Store.WriteUsage(ctx, b)
	g.stats.seconds.Store(math.Float64bits(time.Since(started).Seconds()))
	g.stats.flushes.Add(1)
	if err != nil {
		g.stats.failures.Add(1)
		return fmt.Errorf("write usage: %w", err)
	}
	for i := range left {
		g.stats.unknownDropped.Add(left[i].Count)
	}
	g.stats.rows.Add(int64(len(b.Counts) + len(b.Unknown) - len(left)))
	if g.Written != nil {
		g.Written(b)
	}
	return nil
}

// take gathers the counts of all shards, one at a time: a request waits for a
// shard's counts to be copied, never for a write.
func (g *Gatherer) take() *Batch {
	b := &Batch{Unknown: g.unknown.take()}
	for i := range g.shards {
		s := &g.shards[i]
		s.mu.Lock()
		for k, c := range s.cells {
			if c.count > 0 {
				b.Counts = append(b.Counts, Count{Key: k, Count: c.count, First: millis(c.first), Last: millis(c.last)})
				*c = cell{}
				continue
			}
			if c.idle++; c.idle >= maxIdle {
				delete(s.cells, k)
			}
		}
		s.mu.Unlock()
	}
	return b
}

// giveBack adds what could not be written to what came since.
func (g *Gatherer) giveBack(b *Batch) {
	g.stats.unknownDropped.Add(g.unknown.giveBack(b.Unknown, g.MaxUnknown))
	for i := range b.Counts {
		c := &b.Counts[i]
		s := g.shardOf(c.Token)
		s.mu.Lock()
		cell := s.cells[c.Key]
		if cell == nil {
			cell = s.put(c.Key)
		}
		cell.add(c.Count, c.First.UnixMilli(), c.Last.UnixMilli())
		s.mu.Unlock()
	}
}

func millis(ms int64) time.Time { return time.UnixMilli(ms).UTC() }
