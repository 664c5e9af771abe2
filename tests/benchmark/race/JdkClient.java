// SPDX-License-Identifier: BSL-1.0
//
// The JDK's HttpClient in the race, asynchronous: the next call begins where one ends.

import java.io.FileInputStream;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.file.Files;
import java.nio.file.Path;
import java.lang.management.ManagementFactory;
import java.security.KeyStore;
import java.security.cert.CertificateFactory;
import java.time.Duration;
import java.util.Arrays;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicLong;
import javax.net.ssl.SSLContext;
import javax.net.ssl.TrustManagerFactory;

public final class JdkClient {
    private final HttpClient client;
    private final HttpRequest request;
    private final byte[] right;
    private final long requests;
    private final long warmUp;
    private final AtomicLong left;
    private final AtomicLong done = new AtomicLong();
    private final AtomicLong wrong = new AtomicLong();
    private final CountDownLatch finished = new CountDownLatch(1);
    private volatile long began = System.nanoTime();
    private volatile long cpu = cpuNanos();

    private JdkClient(String[] arguments) throws Exception {
        client = HttpClient.newBuilder().version(HttpClient.Version.HTTP_1_1).sslContext(tls()).build();
        request = HttpRequest.newBuilder(URI.create(arguments[0])).timeout(Duration.ofSeconds(60)).build();
        right = Files.readAllBytes(Path.of(System.getenv("RACE_BODY")));
        requests = Long.parseLong(arguments[2]);
        warmUp = Long.parseLong(arguments[3]);
        left = new AtomicLong(requests + warmUp);
    }

    private static SSLContext tls() throws Exception {
        KeyStore trusted = KeyStore.getInstance(KeyStore.getDefaultType());
        trusted.load(null, null);
        try (FileInputStream in = new FileInputStream(System.getenv("RACE_CA"))) {
            trusted.setCertificateEntry("authority", CertificateFactory.getInstance("X.509").generateCertificate(in));
        }
        TrustManagerFactory managers = TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
        managers.init(trusted);
        SSLContext context = SSLContext.getInstance("TLS");
        context.init(null, managers.getTrustManagers(), null);
        return context;
    }

    private static long cpuNanos() {
        return ((com.sun.management.OperatingSystemMXBean) ManagementFactory.getOperatingSystemMXBean()).getProcessCpuTime();
    }

    private void next() {
        if (left.getAndDecrement() <= 0) return;
        client.sendAsync(request, HttpResponse.BodyHandlers.ofByteArray()).whenCompleteAsync((answer, error) -> answered(answer, error));
    }

    private void answered(HttpResponse<byte[]> answer, Throwable error) {
        if (error != null || answer.statusCode() != 200 || !Arrays.equals(answer.body(), right)) wrong.incrementAndGet();
        long now = done.incrementAndGet();
        if (now == warmUp) {
            began = System.nanoTime();
            cpu = cpuNanos();
        }
        if (now == requests + warmUp) finished.countDown();
        next();
    }

    private void report() throws Exception {
        double seconds = (System.nanoTime() - began) / 1e9;
        double used = (cpuNanos() - cpu) / 1e3 / requests;
        String rss = Files.readAllLines(Path.of("/proc/self/status")).stream().filter(line -> line.startsWith("VmHWM:"))
            .map(line -> line.replaceAll("\\D", "")).findFirst().orElse("0");
        System.out.printf("client=jdk seconds=%.4f per_second=%.0f cpu_us=%.3f rss_kib=%s wrong=%d%n", seconds, requests / seconds,
            used, rss, wrong.get());
    }

    public static void main(String[] arguments) throws Exception {
        JdkClient race = new JdkClient(arguments);
        for (int i = Integer.parseInt(arguments[1]); i > 0; --i) race.next();
        race.finished.await();
        race.report();
        System.exit(0);
    }
}
