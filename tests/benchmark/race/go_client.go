// SPDX-License-Identifier: BSL-1.0

// Go's net/http in the race: a goroutine for every call in flight.
package main

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

func number(text string) int64 {
	value, _ := strconv.ParseInt(text, 10, 64)
	return value
}

func cpu() float64 {
	var usage syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &usage)
	return float64(usage.Utime.Nano()+usage.Stime.Nano()) / 1e9
}

func peakRSS() string {
	status, _ := os.ReadFile("/proc/self/status")
	for _, line := range strings.Split(string(status), "\n") {
		if strings.HasPrefix(line, "VmHWM:") {
			return strings.Fields(line)[1]
		}
	}
	return "0"
}

func main() {
	url, connections, requests, warmUp := os.Args[1], int(number(os.Args[2])), number(os.Args[3]), number(os.Args[4])
	right, _ := os.ReadFile(os.Getenv("RACE_BODY"))
	authority, _ := os.ReadFile(os.Getenv("RACE_CA"))
	trusted := x509.NewCertPool()
	trusted.AppendCertsFromPEM(authority)
	client := http.Client{
		Timeout: 30 * time.Second,
		Transport: &http.Transport{
			MaxConnsPerHost:     connections,
			MaxIdleConns:        connections,
			MaxIdleConnsPerHost: connections,
			DisableCompression:  true,
			TLSClientConfig:     &tls.Config{RootCAs: trusted, ClientSessionCache: tls.NewLRUClientSessionCache(0)},
		},
	}
	get := func() bool {
		answer, err := client.Get(url)
		if err != nil {
			return false
		}
		defer answer.Body.Close()
		body, err := io.ReadAll(answer.Body)
		return err == nil && answer.StatusCode == 200 && bytes.Equal(body, right)
	}

	var taken, done, wrong int64
	began, cpuThen := time.Now(), cpu()
	var all sync.WaitGroup
	for i := 0; i < connections; i++ {
		all.Add(1)
		go func() {
			defer all.Done()
			for atomic.AddInt64(&taken, 1) <= requests+warmUp {
				if !get() {
					atomic.AddInt64(&wrong, 1)
				}
				if atomic.AddInt64(&done, 1) == warmUp {
					began, cpuThen = time.Now(), cpu()
				}
			}
		}()
	}
	all.Wait()
	seconds := time.Since(began).Seconds()
	fmt.Printf("client=go seconds=%.4f per_second=%.0f cpu_us=%.3f rss_kib=%s wrong=%d\n", seconds, float64(requests)/seconds,
		(cpu()-cpuThen)/float64(requests)*1e6, peakRSS(), wrong)
}
