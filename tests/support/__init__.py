"""What several tests share: free ports, waiting for conditions, running real parts."""
