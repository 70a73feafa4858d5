# sharedlock_protocol(TARGET PROTO): a library of the messages and stubs of that file. Generated code, so without our
# flags; its headers count as a system's.
function(sharedlock_protocol target proto)
  cmake_path(GET proto STEM name)
  cmake_path(GET proto PARENT_PATH folder)
  set(made ${PROJECT_BINARY_DIR}/proto)
  set(files ${made}/${name}.pb.cc ${made}/${name}.pb.h ${made}/${name}.grpc.pb.cc ${made}/${name}.grpc.pb.h)
  file(MAKE_DIRECTORY ${made})
  add_custom_command(
    OUTPUT ${files}
    COMMAND ${PROTOC} --proto_path=${folder} --cpp_out=${made} --grpc_out=${made}
            --plugin=protoc-gen-grpc=${GRPC_CPP_PLUGIN} ${name}.proto
    DEPENDS ${proto}
    VERBATIM)
  add_library(${target} STATIC ${files})
  set_target_properties(${target} PROPERTIES UNITY_BUILD OFF)  # the generated files use the same names
  target_include_directories(${target} SYSTEM PUBLIC ${made})
  target_link_libraries(${target} PUBLIC
    ${GRPC_CPP} ${GRPC_CORE} ${GRPC_PLATFORM} ${GRPC_MUTEX} ${PROTOBUF} Threads::Threads)
endfunction()

sharedlock_protocol(sharedlock_etcd_proto ${PROJECT_SOURCE_DIR}/proto/etcd.proto)
