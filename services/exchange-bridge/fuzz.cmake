# Fuzz targets of the bridge: its readers of what the exchange says.
scrip_fuzz_target(bridge_reply_fuzz bridge_reply_fuzz.c LIBS bridge_core)
