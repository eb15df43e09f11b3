import org.codelibs.opensearch.runner.OpenSearchRunner;

/** Runs one node until it is told to end; the runner's own main hides why a start failed. */
public class OpenSearchNode {
    public static void main(String[] arguments) throws Exception {
        OpenSearchRunner runner = new OpenSearchRunner();
        runner.setMaxHttpPort(-1);
        // Its own choice leaves out ingest, which a real node has.
        runner.onBuild((number, settings) -> settings.putList("node.roles", "cluster_manager", "data", "ingest"));
        Runtime.getRuntime().addShutdownHook(new Thread(() -> {
            try {
                runner.close();
            } catch (Exception failure) {
                failure.printStackTrace();
            }
        }));
        try {
            runner.build(arguments);
        } catch (Throwable failure) {
            failure.printStackTrace();
            Runtime.getRuntime().halt(1);
        }
        Thread.currentThread().join();
    }
}
