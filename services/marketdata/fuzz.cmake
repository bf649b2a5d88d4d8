# Fuzz targets of market data: its readers of files from elsewhere.
scrip_fuzz_target(csv_fuzz csv_fuzz.c LIBS marketdata_core)
scrip_fuzz_target(binance_json_fuzz binance_json_fuzz.c LIBS marketdata_core)
scrip_fuzz_target(binance_list_fuzz binance_list_fuzz.c LIBS marketdata_core)
scrip_fuzz_target(recording_fuzz recording_fuzz.c LIBS scrip_recording)
